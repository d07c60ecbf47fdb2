/**
 * Getting blobs the way a puller does, by curl, and checking afterwards that they are the right ones.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { repository } from "./rig.ts";
import type { Note } from "./scenario.ts";

const execute = promisify(execFile);

/** A blob's path from an endpoint to a file. */
export interface Download {
  readonly endpoint: string;
  readonly digest: string;
  readonly file: string;
}

/** Get blobs at once, by one curl: sixteen of them would cost more CPU to start than some rows take. */
export async function curl(downloads: readonly Download[]): Promise<void> {
  const atOnce = downloads.length > 1 ? ["--parallel", "--parallel-immediate", "--parallel-max", "64"] : [];
  const targets = downloads.flatMap(({ endpoint, digest, file }) => [
    "-o",
    file,
    blobUrl(endpoint, repository, digest),
  ]);
  await execute("curl", ["-sSf", ...atOnce, ...targets], { env: testEnvironment() });
}

/** Check outside the timed part that the right bytes came. @throws Error */
export async function checkFile(file: string, digest: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const found = `sha256:${hash.digest("hex")}`;
  if (found !== digest) throw new Error(`wrong bytes: ${found} instead of ${digest}`);
}

/**
 * Watch for bytes that came past NDN, which would make figures better than NDN is; the returned function notes them.
 */
export async function watchUpstream(
  clients: readonly RunningProgram[],
): Promise<(note: Note, what: string) => Promise<void>> {
  const before = await upstreamBytes(clients);
  return async (note, what) => {
    const bytes = (await upstreamBytes(clients)) - before;
    note({ name: `${what}: taken from the upstream instead`, unit: "MB" }, bytes / 1e6);
  };
}

async function upstreamBytes(clients: readonly RunningProgram[]): Promise<number> {
  const all = await Promise.all(clients.map(blobBytes));
  return all.reduce((sum, { upstream }) => sum + upstream, 0);
}
