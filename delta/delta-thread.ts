/**
 * Makes and applies deltas beside everything else that the process does: in a thread of its own, at the lowest priority, one
 * at a time. While it runs, making takes up to about 350 MB, applying 200, and nothing is kept.
 */
import { Worker } from "node:worker_threads";
import { Semaphore } from "#base/limits.ts";
import type { DeltaJob, JobResult, OpenTar } from "./delta-job.ts";
import { DeltaError } from "./format/delta-error.ts";
import type { TarId } from "./format/delta-file.ts";

/** The files stay the caller's: they are neither used nor closed once a call has ended, however it has. */
export class DeltaThread {
  readonly #turn: Semaphore;

  /** @param maxWaiting - How many calls may wait for the one that runs. */
  constructor(maxWaiting: number) {
    this.#turn = new Semaphore(1, maxWaiting);
  }

  /**
   * Write the delta that leads from one tar to another into an empty file; resolves to its size.
   *
   * @throws DeltaError when it has more than `maxBytes`.
   * @throws SemaphoreFull when too many wait.
   * @throws Error when a file cannot be read or written; the signal's reason.
   */
  make(base: OpenTar, target: OpenTar, outFd: number, maxBytes: number, signal: AbortSignal): Promise<number> {
    return this.#run({ kind: "make", base, target, outFd, maxBytes }, signal);
  }

  /**
   * Write the tar to which a delta leads into an empty file.
   *
   * @param expected - From a source that is trusted. What is in the file is right only if this resolves.
   * @throws DeltaError when the delta gives anything else, or is for another base.
   * @throws Otherwise as `make`.
   */
  async apply(base: OpenTar, deltaFd: number, expected: TarId, outFd: number, signal: AbortSignal): Promise<void> {
    await this.#run({ kind: "apply", base, deltaFd, expected, outFd }, signal);
  }

  #run(job: DeltaJob, signal: AbortSignal): Promise<number> {
    return this.#turn.run(() => runJob(job, signal), signal);
  }
}

/** JavaScript's objects, of which there are few; the bytes that are worked on are not counted. */
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/** Settles when the thread has ended: until then it uses the files. */
async function runJob(job: DeltaJob, signal: AbortSignal): Promise<number> {
  const worker = new Worker(new URL("./delta-worker.ts", import.meta.url), { workerData: job, resourceLimits });
  const ended = Promise.withResolvers<void>();
  let result: JobResult = {
    error: { message: "the thread ended without a result", isOfDelta: false, code: undefined },
  };
  worker.once("message", (message: JobResult) => (result = message));
  worker.once("error", (err) => (result = { error: { message: String(err), isOfDelta: false, code: undefined } }));
  worker.once("exit", () => ended.resolve());
  const onAbort = () => void worker.terminate();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await ended.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  signal.throwIfAborted();
  return bytesOf(result);
}

function bytesOf({ bytes, error }: JobResult): number {
  if (error === undefined) return bytes ?? 0;
  if (error.isOfDelta) throw new DeltaError(error.message);
  throw Object.assign(new Error(error.message), error.code === undefined ? {} : { code: error.code });
}
