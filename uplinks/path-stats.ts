/**
 * What is remembered of one path to NDN: whether it answers, how soon and how fast. Times in milliseconds of any clock
 * that never goes back.
 */

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

/** Failures in a row, and the path backs off. */
const failuresUntilBackoff = 2;
const firstBackoffMs = 10_000;
const longestBackoffMs = 60_000;
/** Shorter reads say little about throughput. */
const measuredBytes = 1024 * 1024;
const samplesKept = 5;
const sampleLifetimeMs = 10 * 60_000;

interface Sample {
  readonly bytesPerMs: number;
  readonly atMs: number;
}

/** What is known of one path. */
export class PathStats {
  /** Reads in progress. */
  active = 0;
  /** Smoothed time to the first bytes; 0 before any came. */
  firstBytesMs = 0;
  /** It has backed off and has not answered since: one read at a time finds out whether it does. */
  isOnProbation = false;
  /** When a read was last sent over it only to learn about it. */
  probedAtMs = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private backoffMs = firstBackoffMs;
  private backsOffUntilMs = Number.NEGATIVE_INFINITY;
  private samples: Sample[] = [];

  isBackingOff(nowMs: number): boolean {
    return nowMs < this.backsOffUntilMs;
  }

  /** The face is new: what was wrong with the old one is no longer so. */
  cameUp(): void {
    this.recovered();
    this.backsOffUntilMs = Number.NEGATIVE_INFINITY;
  }

  answered(ms: number): void {
    this.firstBytesMs = this.firstBytesMs === 0 ? ms : 0.75 * this.firstBytesMs + 0.25 * ms;
  }

  ended(result: ReadResult, nowMs: number): void {
    this.measure(result, nowMs);
    if (result.outcome === "failed") this.failed(nowMs);
    else if (result.outcome !== "cancelled") this.recovered();
  }

  /** Mean throughput of the last reads, all blobs together, and how many it is the mean of. */
  throughput(nowMs: number): { readonly bytesPerMs: number; readonly samples: number } {
    const fresh = this.samples.filter(({ atMs }) => nowMs - atMs < sampleLifetimeMs);
    const sum = fresh.reduce((total, { bytesPerMs }) => total + bytesPerMs, 0);
    return { bytesPerMs: fresh.length === 0 ? 0 : sum / fresh.length, samples: fresh.length };
  }

  /** Reads that run side by side share the path; a slow reader measures itself. */
  private measure({ bytes, ms, waitedMs, sharedBy }: ReadResult, nowMs: number): void {
    if (bytes < measuredBytes || ms <= 0 || waitedMs < ms / 2) return;
    this.samples.push({ bytesPerMs: (bytes / ms) * sharedBy, atMs: nowMs });
    if (this.samples.length > samplesKept) this.samples.shift();
  }

  private recovered(): void {
    this.failures = 0;
    this.isOnProbation = false;
    this.backoffMs = firstBackoffMs;
  }

  /** Reads that fail together are one failure of the path: what ends while it backs off does not lengthen that. */
  private failed(nowMs: number): void {
    if (this.isBackingOff(nowMs)) return;
    this.failures++;
    if (!this.isOnProbation && this.failures < failuresUntilBackoff) return;
    this.backsOffUntilMs = nowMs + this.backoffMs;
    this.backoffMs = Math.min(longestBackoffMs, this.backoffMs * 2);
    this.failures = 0;
    this.isOnProbation = true;
  }
}
