/**
 * What is known of one path from its reads: whether it answers, and how fast. Times in milliseconds of any clock that
 * never goes back.
 */
import { Overtaken } from "#blob/race.ts";
import { BlobUnknown } from "#blob/source.ts";

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
/** Failures in a row, and the path backs off. */
const failuresUntilBackoff = 2;
const firstBackoffMs = 10_000;
const longestBackoffMs = 60_000;
/** Shorter reads say little about throughput. */
const measuredBytes = 1024 * 1024;
const samplesKept = 5;
/** One that fails so soon after another was served says nothing about the path: the server is busy, or it is the blob. */
const servedLatelyMs = 3_000;
/** It is busy as long as something comes at least this often, or in each two round trips: at first it comes in bursts. */
const busyMs = 500;
const sampleLifetimeMs = 10 * 60_000;

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
    this.#waitedMs += waitedMs;
    this.#windowBytes += bytes;
    this.#windowMs += waitedMs;
    this.#stats.served(this, this.#now());
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
    const isOfPath = this.isCrawling || !this.#stats.servesOthers(this, this.#now());
    const seen = outcome === "failed" && !isOfPath ? "cancelled" : outcome;
    this.#events.onEnded({ outcome: seen, bytes: this.#bytes, ms, waitedMs: this.#waitedMs, sharedBy });
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
  /** Until then no read is sent over it. */
  backsOffUntilMs = Number.NEGATIVE_INFINITY;
  #servedLast: ReadSample | undefined;
  #servedAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #backoffMs = firstBackoffMs;
  readonly #samples: { readonly bytesPerMs: number; readonly atMs: number }[] = [];

  /** The face is new: what was wrong with the old one is no longer so. */
  cameUp(): void {
    this.#recovered();
    this.backsOffUntilMs = this.#servedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** It has brought something to this read. */
  served(read: ReadSample, nowMs: number): void {
    this.#servedLast = read;
    this.#servedAtMs = nowMs;
  }

  /** Whether others than this read, which is over, are in progress, and one of them was brought something not long ago. */
  servesOthers(read: ReadSample, nowMs: number): boolean {
    return this.active > 0 && this.#servedLast !== read && nowMs - this.#servedAtMs < servedLatelyMs;
  }

  /** Whether it brings something to some read just now. */
  isBusy(nowMs: number, rttMs: number): boolean {
    return nowMs - this.#servedAtMs < Math.max(busyMs, 2 * rttMs);
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
    if (nowMs < this.backsOffUntilMs) return;
    this.#failures++;
    if (!this.isOnProbation && this.#failures < failuresUntilBackoff) return;
    this.backsOffUntilMs = nowMs + this.#backoffMs;
    this.#backoffMs = Math.min(longestBackoffMs, this.#backoffMs * 2);
    this.#failures = 0;
    this.isOnProbation = true;
  }
}
