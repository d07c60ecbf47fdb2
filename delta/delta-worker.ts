/**
 * The thread's program: one job, at the lowest priority. It reads and writes files synchronously, as it does nothing else,
 * and packs in the thread itself, not in Node's pool, which has the priority of the process.
 */
import { writeSync } from "node:fs";
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { errorCode, reasonOf } from "#base/errors.ts";
import { applyDelta, type KnownTar } from "./apply-delta.ts";
import type { DeltaJob, JobResult, OpenTar } from "./delta-job.ts";
import { DeltaError } from "./format/delta-error.ts";
import { makeDelta } from "./make/make-delta.ts";
import { fileReader } from "./random-reader.ts";

/** Priorities are those of threads in Linux alone. */
function yieldToOthers(): void {
  if (process.platform === "linux") setPriority(19);
}

function run(job: DeltaJob): number {
  const out = new FileWriter(job.outFd, job.kind === "make" ? job.maxBytes : job.expected.sizeBytes);
  const write = (bytes: Uint8Array) => out.write(bytes);
  if (job.kind === "make") makeDelta(known(job.base), known(job.target), write);
  else applyDelta(known(job.base), fileReader(job.deltaFd), job.expected, write);
  return out.bytes;
}

function known({ fd, sha256 }: OpenTar): KnownTar {
  return { bytes: fileReader(fd), sha256 };
}

class FileWriter {
  readonly #fd: number;
  readonly #maxBytes: number;
  bytes = 0;

  constructor(fd: number, maxBytes: number) {
    this.#fd = fd;
    this.#maxBytes = maxBytes;
  }

  /** @throws DeltaError beyond the bound. */
  write(bytes: Uint8Array): void {
    if (this.bytes + bytes.length > this.#maxBytes) throw new DeltaError(`this has more than ${this.#maxBytes} bytes`);
    for (let written = 0; written < bytes.length; )
      written += writeSync(this.#fd, bytes, written, bytes.length - written, this.bytes + written);
    this.bytes += bytes.length;
  }
}

function resultOf(job: DeltaJob): JobResult {
  try {
    return { bytes: run(job) };
  } catch (err: unknown) {
    return { error: { message: reasonOf(err), isOfDelta: err instanceof DeltaError, code: errorCode(err) } };
  }
}

yieldToOthers();
parentPort!.postMessage(resultOf(workerData as DeltaJob));
