/**
 * A process that makes a delta and one that applies it, for what each costs:
 *
 *     once.ts make BASE.tar TARGET.tar DELTA        once.ts apply BASE.tar DELTA OUT.tar SIZE SHA256
 *
 * Prints `Cost` as JSON. The hashes of the tars are not part of it: those that have the tars have hashed them.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { OpenTar } from "#delta/delta-job.ts";
import { DeltaThread } from "#delta/delta-thread.ts";
import { fileReader, piecesOf } from "#delta/random-reader.ts";

export interface Cost {
  readonly cpuSeconds: number;
  /** Most resident memory of the process. */
  readonly peakBytes: number;
  readonly sizeBytes: number;
}

const [verb = "", basePath = "", inputPath = "", outPath = "", sizeBytes, sha256 = ""] = process.argv.slice(2);
const forever = new AbortController().signal;
const noBound = Number.MAX_SAFE_INTEGER;

async function openTar(path: string): Promise<{ file: FileHandle; tar: OpenTar }> {
  const file = await open(path);
  const bytes = fileReader(file.fd);
  const hash = createHash("sha256");
  // Not by a stream, whose garbage would be counted.
  for (const piece of piecesOf(bytes, 0, bytes.sizeBytes)) hash.update(piece);
  return { file, tar: { fd: file.fd, sha256: hash.digest("hex") } };
}

const base = await openTar(basePath);
const input = await openTar(inputPath);
await using out = await open(outPath, "w");
const thread = new DeltaThread(0);
const before = process.cpuUsage();
if (verb === "make") await thread.make(base.tar, input.tar, out.fd, noBound, forever);
else await thread.apply(base.tar, input.file.fd, { sizeBytes: Number(sizeBytes), sha256 }, out.fd, forever);
const { user, system } = process.cpuUsage(before);
const cost: Cost = {
  cpuSeconds: (user + system) / 1e6,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  sizeBytes: (await out.stat()).size,
};
console.log(JSON.stringify(cost));
await Promise.all([base.file.close(), input.file.close()]);
