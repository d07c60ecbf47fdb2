/**
 * Which of several paths to NDN the next blob takes. All blobs stay on one, so that one congestion controller has the
 * traffic, until it fails or is much slower than another.
 */
import { PathStats, ReadSample } from "./path-stats.ts";

/** Settings of an {@link UplinkChoice}. */
export interface UplinkChoiceOptions<P> {
  /** In the order of preference while nothing is known. */
  readonly paths: readonly P[];
  isUp(path: P): boolean;
  /** A path begins to back off: no one answers on it, or what it brings breaks off. */
  onBackOff?(path: P): void;
  /** Round-trip time of a path, 0 while it is not known. @defaultValue unknown */
  rttMs?(path: P): number;
  /** Milliseconds of a clock that never goes back. @defaultValue performance.now */
  readonly now?: (() => number) | undefined;
}

/** Paths of one blob: the second one takes over what the first one leaves. */
const triedPerBlob = 2;
/** So many times slower, and the traffic moves to the other path; that is also what it takes to move back. */
const muchSlower = 3;
/** So many times slower than it was, in the middle of a blob, is as bad as an end: a server hangs, its route is still there. */
const crawling = 10;
const samplesToCompare = 3;
const dwellMs = 30_000;
/** A path of which too little is known gets one blob in this time. */
const probeEveryMs = 20_000;
const probationEveryMs = 1_000;
/** An answer that is older does not say that a path is still of use. */
const inUseMs = 10 * 60_000;
/** A probe that takes longer than this is not waited for. */
const longProbeMs = 60_000;

/** The choice, driven by what happens to reads; it has no timers. */
export class UplinkChoice<P> {
  readonly #options: UplinkChoiceOptions<P>;
  readonly #allStats: ReadonlyMap<P, PathStats>;
  readonly #now: () => number;
  #present: P | undefined;
  #presentSinceMs = Number.NEGATIVE_INFINITY;
  /** When a read over a path was last answered to its end, on its present face and with no failure since. */
  readonly #answeredAtMs = new Map<P, number>();

  constructor(options: UplinkChoiceOptions<P>) {
    this.#options = options;
    this.#allStats = new Map(options.paths.map((path) => [path, new PathStats()]));
    this.#now = options.now ?? (() => performance.now());
  }

  /** Paths for the next blob, the one to begin with first; at most 2, none when no path is up and answers. */
  next(): P[] {
    const nowMs = this.#now();
    const usable = this.#options.paths.filter((path) => this.isUsable(path));
    const proven = usable.filter((path) => !this.#stats(path).isOnProbation);
    this.#settleOn(proven, nowMs);
    const present = this.#present;
    const probe = usable.find((path) => path !== present && this.#isToBeProbed(path, nowMs));
    if (probe !== undefined) this.#stats(probe).probedAtMs = nowMs;
    const inOrder = new Set([probe, present, ...proven]);
    inOrder.delete(undefined);
    return ([...inOrder] as P[]).slice(0, triedPerBlob);
  }

  /** Up, and not backing off. */
  isUsable(path: P): boolean {
    return this.#options.isUp(path) && !this.isBackingOff(path);
  }

  /** Whether reads over it failed so often that it is left alone for a while. */
  isBackingOff(path: P): boolean {
    return this.#now() < this.#stats(path).backsOffUntilMs;
  }

  /** Whether it is in use and of use: a read is in progress, or the last one was answered not long ago. */
  isInUse(path: P): boolean {
    const stats = this.#stats(path);
    if (this.isBackingOff(path) || stats.isOnProbation) return false;
    return stats.active > 0 || this.#now() - (this.#answeredAtMs.get(path) ?? Number.NEGATIVE_INFINITY) < inUseMs;
  }

  /** Whether any of the paths brings something just now. */
  get isBusy(): boolean {
    const nowMs = this.#now();
    return this.#options.paths.some((path) => this.#stats(path).isBusy(nowMs, this.#options.rttMs?.(path) ?? 0));
  }

  /** Its face is up again. */
  cameUp(path: P): void {
    this.#stats(path).cameUp();
    this.#answeredAtMs.delete(path);
  }

  /** A read over this path begins; it has to be ended. */
  begin(path: P): ReadSample {
    const stats = this.#stats(path);
    return new ReadSample(stats, this.#now, {
      isCrawl: (bytesPerMs) => bytesPerMs * stats.active < this.#crawlBelow(path),
      onEnded: (result) => {
        const backedOff = this.isBackingOff(path);
        stats.ended(result, this.#now());
        if (result.outcome === "failed") this.#answeredAtMs.delete(path);
        else if (result.outcome !== "cancelled") this.#answeredAtMs.set(path, this.#now());
        if (!backedOff && this.isBackingOff(path)) this.#options.onBackOff?.(path);
      },
    });
  }

  /** Stay where the traffic is, unless that path is gone or another one was much faster over several blobs. */
  #settleOn(proven: readonly P[], nowMs: number): void {
    const present = this.#present;
    const isGone = present === undefined || !proven.includes(present);
    const next = isGone ? proven[0] : this.#muchFasterThan(present, proven, nowMs);
    if (!isGone && next === undefined) return;
    this.#present = next;
    this.#presentSinceMs = nowMs;
  }

  #muchFasterThan(present: P, proven: readonly P[], nowMs: number): P | undefined {
    if (nowMs - this.#presentSinceMs < dwellMs) return undefined;
    const own = this.#stats(present).throughput(nowMs);
    if (own.samples < samplesToCompare) return undefined;
    return proven.find((path) => {
      const { bytesPerMs, samples } = this.#stats(path).throughput(nowMs);
      return samples >= samplesToCompare && bytesPerMs > muchSlower * own.bytesPerMs;
    });
  }

  /** One that has backed off has to answer one read before it gets more; the others are compared with the present one. */
  #isToBeProbed(path: P, nowMs: number): boolean {
    const stats = this.#stats(path);
    const sinceMs = nowMs - stats.probedAtMs;
    if (stats.isOnProbation) return sinceMs >= (stats.active === 0 ? probationEveryMs : longProbeMs);
    if (sinceMs < probeEveryMs || this.#present === undefined) return false;
    const isPresentKnown = this.#stats(this.#present).throughput(nowMs).samples >= samplesToCompare;
    return isPresentKnown && stats.throughput(nowMs).samples < samplesToCompare;
  }

  /** Bytes per millisecond: well below what this path brought before, or, for a probe, below what the present one brings. */
  #crawlBelow(path: P): number {
    const nowMs = this.#now();
    const own = this.#stats(path).throughput(nowMs).bytesPerMs / crawling;
    if (this.#present === undefined || path === this.#present || !this.isUsable(this.#present)) return own;
    return Math.max(own, this.#stats(this.#present).throughput(nowMs).bytesPerMs / muchSlower);
  }

  #stats(path: P): PathStats {
    return this.#allStats.get(path)!;
  }
}
