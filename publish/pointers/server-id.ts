/**
 * A server's own id: what only it has is asked for by a ForwardingHint that leads to it alone.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomicSync } from "#base/atomic-file.ts";
import { isServerId } from "#blob/pointer-names.ts";

const fileName = "server-id";

/**
 * The id in the state directory, made when there is none; without a directory a new one for each run.
 *
 * @param onError - Called when it cannot be read or written; then it is one for this run.
 */
export function openServerId(directory: string | undefined, onError: (err: Error) => void): string {
  const id = randomBytes(8).toString("hex");
  if (directory === undefined) return id;
  const path = join(directory, fileName);
  try {
    const kept = readFileSync(path, "utf8").trim();
    if (isServerId(kept)) return kept;
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code !== "ENOENT") onError(err as Error);
  }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileAtomicSync(path, `${id}\n`, 0o600);
  } catch (err: unknown) {
    onError(err as Error);
  }
  return id;
}
