import type { ReadOutcome, ReadResult, WayRecord } from "./way-record.ts";

/** Waiting time over which a crawl is judged. */
const crawlWindowMs = 3_000;

/** Told by a {@link WayReading}. */
export interface WayReadingEvents {
  /** Whether a read with this throughput had better go on elsewhere. */
  isCrawl(bytesPerMs: number): boolean;
  onEnded(result: ReadResult): void;
}

/** One read over one way, from its beginning to its end; times in milliseconds. */
export class WayReading {
  private isSlow = false;
  private readonly record: WayRecord;
  private readonly now: () => number;
  private readonly events: WayReadingEvents;
  private readonly beganMs: number;
  private readonly activeAtBegin: number;
  private bytes = 0;
  private waitedMs = 0;
  private windowBytes = 0;
  private windowMs = 0;
  private hasEnded = false;

  constructor(record: WayRecord, now: () => number, events: WayReadingEvents) {
    this.record = record;
    this.now = now;
    this.events = events;
    this.beganMs = now();
    record.active++;
    this.activeAtBegin = record.active;
  }

  /** Whether the way has become so slow that the rest had better come from elsewhere. */
  get isCrawling(): boolean {
    return this.isSlow;
  }

  /** A piece came after the reader had waited so long for it. */
  brought(bytes: number, waitedMs: number): void {
    if (this.bytes === 0) this.record.answered(this.now() - this.beganMs);
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
    const sharedBy = (this.activeAtBegin + this.record.active) / 2;
    this.record.active--;
    this.events.onEnded({ outcome, bytes: this.bytes, ms, waitedMs: this.waitedMs, sharedBy });
  }
}
