import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFileAtomicSync } from "#base/atomic-file.ts";

const secretBytes = 32;

/**
 * The random key in `file`, made with mode 0600 when there is none or it is damaged.
 *
 * @throws The file system's error.
 */
export function openSecret(file: string): { secret: Buffer; isNew: boolean } {
  const cached = readIfThere(file);
  if (cached?.length === secretBytes) return { secret: cached, isNew: false };
  const secret = randomBytes(secretBytes);
  writeFileAtomicSync(file, secret.toString("base64url"), 0o600);
  return { secret, isNew: true };
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return Buffer.from(readFileSync(file, "latin1"), "base64url");
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw err;
  }
}
