/**
 * Which of several ways to NDN the next blob takes. All blobs stay on one, so that one congestion controller has the
 * traffic, until it fails or is much slower than another.
 */
import { WayReading } from "./way-reading.ts";
import { type ReadResult, WayRecord } from "./way-record.ts";

/** Settings of an {@link UplinkChoice}. */
export interface UplinkChoiceOptions<W> {
  /** In the order of preference while nothing is known. */
  readonly ways: readonly W[];
  isUp(way: W): boolean;
  /** A way begins to rest: nobody answers on it, or what it brings breaks off. */
  onRest?(way: W): void;
  /** Milliseconds of a clock that never goes back. @defaultValue performance.now */
  readonly now?: (() => number) | undefined;
}

/** Ways of one blob: the second one takes over what the first one leaves. */
const triedPerBlob = 2;
/** So many times slower, and the traffic moves to the other way; that is also what it takes to move back. */
const muchSlower = 3;
/** So many times slower than it was, in the middle of a blob, is as bad as an end: a server hangs, its route is still there. */
const crawling = 10;
const samplesToCompare = 3;
const dwellMs = 30_000;
/** A way of which too little is known gets one blob in this time. */
const probeEveryMs = 20_000;
const probationEveryMs = 1_000;
/** An answer that is older does not say that a way is still of use. */
const inUseMs = 10 * 60_000;
/** A probe that takes longer than this is not waited for. */
const longProbeMs = 60_000;

/** The choice, driven by what happens to reads; it has no timers. */
export class UplinkChoice<W> {
  private readonly options: UplinkChoiceOptions<W>;
  private readonly records: ReadonlyMap<W, WayRecord>;
  private readonly now: () => number;
  private present: W | undefined;
  private presentSinceMs = Number.NEGATIVE_INFINITY;
  /** When a read over a way was last answered to its end, on its present face and with no failure since. */
  private readonly answeredAtMs = new Map<W, number>();

  constructor(options: UplinkChoiceOptions<W>) {
    this.options = options;
    this.records = new Map(options.ways.map((way) => [way, new WayRecord()]));
    this.now = options.now ?? (() => performance.now());
  }

  /** Ways for the next blob, the one to begin with first; at most 2, none when no way is up and answers. */
  next(): W[] {
    const nowMs = this.now();
    const usable = this.options.ways.filter((way) => this.isUsable(way));
    const proven = usable.filter((way) => !this.record(way).isOnProbation);
    this.settleOn(proven, nowMs);
    const { present } = this;
    const probe = usable.find((way) => way !== present && this.isToBeProbed(way, nowMs));
    if (probe !== undefined) this.record(probe).probedAtMs = nowMs;
    const others = proven.filter((way) => way !== present && way !== probe);
    return [probe, present, ...others].filter((way) => way !== undefined).slice(0, triedPerBlob);
  }

  /** Up, and not resting. */
  isUsable(way: W): boolean {
    return this.options.isUp(way) && !this.isResting(way);
  }

  /** Whether reads over it failed so often that it is left alone for a while. */
  isResting(way: W): boolean {
    return this.record(way).isResting(this.now());
  }

  /** Whether it is in use and of use: a read is under way, or the last one was answered not long ago. */
  isInUse(way: W): boolean {
    const record = this.record(way);
    if (this.isResting(way) || record.isOnProbation) return false;
    return record.active > 0 || this.now() - (this.answeredAtMs.get(way) ?? Number.NEGATIVE_INFINITY) < inUseMs;
  }

  /** Its face is up again. */
  cameUp(way: W): void {
    this.record(way).cameUp();
    this.answeredAtMs.delete(way);
  }

  /** A read over this way begins; it has to be ended. */
  begin(way: W): WayReading {
    const record = this.record(way);
    return new WayReading(record, this.now, {
      isCrawl: (bytesPerMs) => bytesPerMs * record.active < this.crawlBelow(way),
      onEnded: (result) => this.ended(way, result),
    });
  }

  private ended(way: W, result: ReadResult): void {
    const rested = this.isResting(way);
    this.record(way).ended(result, this.now());
    if (result.outcome === "failed") this.answeredAtMs.delete(way);
    else if (result.outcome !== "cancelled") this.answeredAtMs.set(way, this.now());
    if (!rested && this.isResting(way)) this.options.onRest?.(way);
  }

  /** Stay where the traffic is, unless that way is gone or another one was much faster over several blobs. */
  private settleOn(proven: readonly W[], nowMs: number): void {
    const { present } = this;
    if (present === undefined || !proven.includes(present)) {
      this.moveTo(proven[0], nowMs);
      return;
    }
    if (nowMs - this.presentSinceMs < dwellMs) return;
    const own = this.record(present).throughput(nowMs);
    if (own.samples < samplesToCompare) return;
    const faster = proven.find((way) => {
      const { bytesPerMs, samples } = this.record(way).throughput(nowMs);
      return samples >= samplesToCompare && bytesPerMs > muchSlower * own.bytesPerMs;
    });
    if (faster !== undefined) this.moveTo(faster, nowMs);
  }

  private moveTo(way: W | undefined, nowMs: number): void {
    this.present = way;
    this.presentSinceMs = nowMs;
  }

  /** One that has rested has to answer one read before it gets more; the others are compared with the present one. */
  private isToBeProbed(way: W, nowMs: number): boolean {
    const record = this.record(way);
    const sinceMs = nowMs - record.probedAtMs;
    if (record.isOnProbation) return sinceMs >= (record.active === 0 ? probationEveryMs : longProbeMs);
    if (sinceMs < probeEveryMs || this.present === undefined) return false;
    const isPresentKnown = this.record(this.present).throughput(nowMs).samples >= samplesToCompare;
    return isPresentKnown && record.throughput(nowMs).samples < samplesToCompare;
  }

  /** Bytes per millisecond: well below what this way brought before, or, for a probe, below what the present one brings. */
  private crawlBelow(way: W): number {
    const nowMs = this.now();
    const own = this.record(way).throughput(nowMs).bytesPerMs / crawling;
    if (this.present === undefined || way === this.present || !this.isUsable(this.present)) return own;
    return Math.max(own, this.record(this.present).throughput(nowMs).bytesPerMs / muchSlower);
  }

  private record(way: W): WayRecord {
    return this.records.get(way)!;
  }
}
