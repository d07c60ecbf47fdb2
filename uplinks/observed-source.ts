/**
 * A source over one path of several, which measures how its reads go and is left when it crawls; and what is remembered
 * of that path: whether it answers, and how fast. Times in milliseconds of any clock that never goes back.
 */

import type { SegmentRepair } from "#blob/ndn-source.ts";
import { Overtaken } from "#blob/race.ts";
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  BlobUnknown,
  type ResumePoint,
  withOpen,
} from "#blob/source.ts";

/** How a read ended, seen from the path; `cancelled` says nothing about it, `unknown` is an answer. */
export type ReadOutcome = "complete" | "unknown" | "failed" | "cancelled";

/** One read that is over. */
export interface ReadResult {
  readonly outcome: ReadOutcome;
  readonly bytes: number;
  readonly ms: number;
  /** The part of `ms` in which the reader waited for the path, and not the path for the reader. */
  readonly waitedMs: number;
  /** Reads that were in progress at the same time, this one among them, on the average. */
  readonly sharedBy: number;
}

/** Waiting time over which a crawl is judged. */
const crawlWindowMs = 3_000;
/** A path over which another read has brought anything in this time is not dead, whatever fails on it: it is busy. */
const aliveMs = 1_000;
/** Failures in a row, and the path backs off. */
const failuresUntilBackoff = 2;
const firstBackoffMs = 10_000;
const longestBackoffMs = 60_000;
/** Shorter reads say little about throughput. */
const measuredBytes = 1024 * 1024;
const samplesKept = 5;
const sampleLifetimeMs = 10 * 60_000;

/** A source such as `NdnSource`, which takes a repair for segments that are wrong everywhere on NDN. */
interface RepairableSource extends BlobSource {
  open(blob: BlobRef, from: ResumePoint, signal: AbortSignal, repair?: SegmentRepair): Promise<BlobRead>;
}

/**
 * `inner`, observed.
 *
 * @param begin - Called when a read begins.
 * @param leavesCrawling - Whether a read breaks off when the path has become much slower than it was; not for a source
 * after which there is none.
 * @param repair - Passed on to `inner`.
 */
export function observedSource(
  inner: RepairableSource,
  begin: () => ReadSample,
  leavesCrawling: boolean,
  repair?: SegmentRepair,
): BlobSource {
  return withOpen(inner, async (blob, from, signal) => {
    const sample = begin();
    const onAbort = () => sample.broke(signal.reason, signal);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const read = await inner.open(blob, from, signal, repair);
      sample.isAwaited = false;
      return { ...read, chunks: observed(read, from, sample, leavesCrawling, signal, onAbort) };
    } catch (err: unknown) {
      signal.removeEventListener("abort", onAbort);
      sample.broke(err, signal);
      throw err;
    }
  });
}

async function* observed(
  { chunks, sizeBytes }: BlobRead,
  { offset, end = sizeBytes }: ResumePoint,
  sample: ReadSample,
  leavesCrawling: boolean,
  signal: AbortSignal,
  onAbort: () => void,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  let left = Math.min(end, sizeBytes) - offset;
  try {
    for (;;) {
      if (leavesCrawling && sample.isCrawling) {
        throw new BlobUnavailable("the path has become much slower than it was, or than another");
      }
      const askedMs = performance.now();
      sample.isAwaited = true;
      const { done, value: bytes } = await iterator.next();
      sample.isAwaited = false;
      if (done === true) break;
      sample.brought(bytes.length, performance.now() - askedMs);
      left -= bytes.length;
      if (left <= 0) sample.ended("complete"); // a reader that has all of it asks no more
      yield bytes;
    }
    sample.ended(left <= 0 ? "complete" : "failed");
  } catch (err: unknown) {
    sample.broke(err, signal);
    throw err;
  } finally {
    signal.removeEventListener("abort", onAbort);
    sample.ended("cancelled");
    await iterator.return?.();
  }
}

/** What happens to a {@link ReadSample}. */
export interface ReadSampleEvents {
  /** Whether a read with this throughput had better continue elsewhere. */
  isCrawl(bytesPerMs: number): boolean;
  onEnded(result: ReadResult): void;
}

/** One read over one path, from its beginning to its end. */
export class ReadSample {
  /** Whether the path has become so slow that what is left had better come from elsewhere. */
  isCrawling = false;
  /** The reader waits for the path: at first for the size, then for each piece. */
  isAwaited = true;
  readonly #stats: PathStats;
  readonly #now: () => number;
  readonly #events: ReadSampleEvents;
  readonly #beganMs: number;
  readonly #activeAtBegin: number;
  #bytes = 0;
  #waitedMs = 0;
  #windowBytes = 0;
  #windowMs = 0;
  #hasEnded = false;

  constructor(stats: PathStats, now: () => number, events: ReadSampleEvents) {
    this.#stats = stats;
    this.#now = now;
    this.#events = events;
    this.#beganMs = now();
    stats.active++;
    this.#activeAtBegin = stats.active;
  }

  /** A piece came after the reader had waited so long for it. */
  brought(bytes: number, waitedMs: number): void {
    this.#bytes += bytes;
    this.#stats.broughtAtMs = this.#now();
    this.#waitedMs += waitedMs;
    this.#windowBytes += bytes;
    this.#windowMs += waitedMs;
    if (this.#windowMs < crawlWindowMs) return;
    this.isCrawling = this.#events.isCrawl(this.#windowBytes / this.#windowMs);
    this.#windowBytes = this.#windowMs = 0;
  }

  /** It ended by `err`. One overtaken while the reader waited was too slow; any other abort is no fault of the path. */
  broke(err: unknown, signal: AbortSignal): void {
    if (err instanceof BlobUnknown) this.ended("unknown");
    else if (err instanceof Overtaken) this.ended(this.isAwaited ? "failed" : "cancelled");
    else this.ended(signal.aborted ? "cancelled" : "failed");
  }

  /** The first call counts. */
  ended(outcome: ReadOutcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const ms = this.#now() - this.#beganMs;
    const sharedBy = (this.#activeAtBegin + this.#stats.active) / 2;
    this.#stats.active--;
    this.#events.onEnded({ outcome, bytes: this.#bytes, ms, waitedMs: this.#waitedMs, sharedBy });
  }
}

/** What is known of one path. */
export class PathStats {
  /** Reads in progress. */
  active = 0;
  /** It has backed off and has not answered since: one read at a time finds out whether it does. */
  isOnProbation = false;
  /** When a read was last sent over it only to learn about it. */
  probedAtMs = Number.NEGATIVE_INFINITY;
  /** When any read over it was last brought something. */
  broughtAtMs = Number.NEGATIVE_INFINITY;
  /** Until then no read is sent over it. */
  backsOffUntilMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #backoffMs = firstBackoffMs;
  readonly #samples: { readonly bytesPerMs: number; readonly atMs: number }[] = [];

  /** The face is new: what was wrong with the old one is no longer so. */
  cameUp(): void {
    this.#recovered();
    this.backsOffUntilMs = Number.NEGATIVE_INFINITY;
  }

  ended(result: ReadResult, nowMs: number): void {
    this.#measure(result, nowMs);
    if (result.outcome === "failed") this.#failed(nowMs);
    else if (result.outcome !== "cancelled") this.#recovered();
  }

  /** Mean throughput of the last reads, all blobs together, and how many it is the mean of. */
  throughput(nowMs: number): { readonly bytesPerMs: number; readonly samples: number } {
    const fresh = this.#samples.filter(({ atMs }) => nowMs - atMs < sampleLifetimeMs);
    const sum = fresh.reduce((total, { bytesPerMs }) => total + bytesPerMs, 0);
    return { bytesPerMs: fresh.length === 0 ? 0 : sum / fresh.length, samples: fresh.length };
  }

  /** Reads that run side by side share the path; a slow reader measures itself. */
  #measure({ bytes, ms, waitedMs, sharedBy }: ReadResult, nowMs: number): void {
    if (bytes < measuredBytes || ms <= 0 || waitedMs < ms / 2) return;
    this.#samples.push({ bytesPerMs: (bytes / ms) * sharedBy, atMs: nowMs });
    if (this.#samples.length > samplesKept) this.#samples.shift();
  }

  #recovered(): void {
    this.#failures = 0;
    this.isOnProbation = false;
    this.#backoffMs = firstBackoffMs;
  }

  /** Reads that fail together are one failure of the path: what ends while it backs off does not lengthen that. */
  #failed(nowMs: number): void {
    const isAlive = this.active > 0 && nowMs - this.broughtAtMs < aliveMs;
    if (isAlive || nowMs < this.backsOffUntilMs) return;
    this.#failures++;
    if (!this.isOnProbation && this.#failures < failuresUntilBackoff) return;
    this.backsOffUntilMs = nowMs + this.#backoffMs;
    this.#backoffMs = Math.min(longestBackoffMs, this.#backoffMs * 2);
    this.#failures = 0;
    this.isOnProbation = true;
  }
}
