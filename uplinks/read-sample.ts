import type { PathStats, ReadOutcome, ReadResult } from "./path-stats.ts";

/** Waiting time over which a crawl is judged. */
const crawlWindowMs = 3_000;

/** What happens to a {@link ReadSample}. */
export interface ReadSampleEvents {
  /** Whether a read with this throughput had better go on elsewhere. */
  isCrawl(bytesPerMs: number): boolean;
  onEnded(result: ReadResult): void;
}

/** One read over one path, from its beginning to its end; times in milliseconds. */
export class ReadSample {
  private isSlow = false;
  private readonly stats: PathStats;
  private readonly now: () => number;
  private readonly events: ReadSampleEvents;
  private readonly beganMs: number;
  private readonly activeAtBegin: number;
  private bytes = 0;
  private waitedMs = 0;
  private windowBytes = 0;
  private windowMs = 0;
  private hasEnded = false;

  constructor(stats: PathStats, now: () => number, events: ReadSampleEvents) {
    this.stats = stats;
    this.now = now;
    this.events = events;
    this.beganMs = now();
    stats.active++;
    this.activeAtBegin = stats.active;
  }

  /** Whether the path has become so slow that the rest had better come from elsewhere. */
  get isCrawling(): boolean {
    return this.isSlow;
  }

  /** A piece came after the reader had waited so long for it. */
  brought(bytes: number, waitedMs: number): void {
    if (this.bytes === 0) this.stats.answered(this.now() - this.beganMs);
    this.bytes += bytes;
    this.waitedMs += waitedMs;
    this.windowBytes += bytes;
    this.windowMs += waitedMs;
    if (this.windowMs < crawlWindowMs) return;
    this.isSlow = this.events.isCrawl(this.windowBytes / this.windowMs);
    this.windowBytes = this.windowMs = 0;
  }

  /** The first call counts. */
  ended(outcome: ReadOutcome): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    const ms = this.now() - this.beganMs;
    const sharedBy = (this.activeAtBegin + this.stats.active) / 2;
    this.stats.active--;
    this.events.onEnded({ outcome, bytes: this.bytes, ms, waitedMs: this.waitedMs, sharedBy });
  }
}
