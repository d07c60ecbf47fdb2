/**
 * The round-trip time of a path without its queue; in milliseconds.
 *
 * A path may have caches on the way, which answer sooner than what is behind them. Both then answer one fetch at the same
 * time, and the answers of the far one are overtaken by those of the near one: that tells them apart. A queue delays all.
 */

/**
 * A minimum counts for so long or so many round trips; then the path is asked to show it again. That it is seen all the
 * time proves nothing: someone who came when there was a queue has never seen another.
 */
const [windowMs, windowRounds] = [5_000, 30];
const leastMs = 0.05;
/** Rounds in a row that are all so many times, and so much, above the minimum: the path has become longer. */
const longerRounds = 3;
const [longerTimes, longerMs] = [4, 10];
/** Answers that are late for so long, or for this share of the minimum, show a queue: a pause of a program is shorter. */
const [lateForMs, lateForShare] = [10, 1 / 8];
/** From this share of the answers on, those from afar are of account, */
const minFarShare = 0.01;
/** and from this one on they are the ones that show the queue. */
const mainFarShare = 0.1;
const smoothing = 1 / 16;
const shareSmoothing = 1 / 4;

/** Those who answer from one distance. */
class Distance {
  /** The least of late. */
  minMs = Number.POSITIVE_INFINITY;
  samples = 0;
  /** The least in this round, */
  roundMs = Number.POSITIVE_INFINITY;
  /** and since the path is asked to show its minimum. */
  #recentMs = Number.POSITIVE_INFINITY;

  /** @returns whether there has been no less. */
  sample(rttMs: number): boolean {
    this.samples++;
    if (rttMs < this.roundMs) this.roundMs = rttMs;
    if (rttMs >= this.minMs) return false;
    this.minMs = Math.max(leastMs, rttMs);
    return true;
  }

  endRound(): void {
    this.#recentMs = Math.min(this.#recentMs, this.roundMs);
    this.roundMs = Number.POSITIVE_INFINITY;
    this.samples = 0;
  }

  /** Begin to look for a new minimum. */
  look(): void {
    this.#recentMs = Number.POSITIVE_INFINITY;
  }

  /** What has been found is the minimum. */
  renew(): void {
    if (this.#recentMs < Number.POSITIVE_INFINITY) this.minMs = this.#recentMs;
  }
}

/** Round trips of one path. */
export class PathRtt {
  /** Of all who answer, queue and all; 0 before the first sample. */
  smoothedMs = 0;
  /** What all answers of the last round had beyond the minimum: the queue that has stood all the time. */
  excessMs = 0;
  readonly #near = new Distance();
  readonly #far = new Distance();
  #farShare = 0;
  #seenAtMs = Number.NEGATIVE_INFINITY;
  /** The least since `#lateSinceMs`, and in as long a time before. */
  #lateMs = 0;
  #lateBeforeMs = 0;
  #lateSinceMs = Number.NEGATIVE_INFINITY;
  #longRounds = 0;

  /** The minimum of the nearest that answers; infinite before the first sample. */
  get minMs(): number {
    return this.#near.minMs;
  }

  /** The minimum on average over those who answer. */
  get meanMinMs(): number {
    return this.minMs + this.#farShare * (this.farthestMs - this.minMs);
  }

  /** The minimum of the farthest that answers. */
  get farthestMs(): number {
    return this.#farShare < minFarShare ? this.minMs : Math.max(this.#far.minMs, this.minMs);
  }

  /** By how much all answers of late have exceeded the minimum. */
  get lateMs(): number {
    return Math.min(this.#lateMs, this.#lateBeforeMs) - this.minMs;
  }

  /** Judge lateness by later answers only. */
  forgetLate(): void {
    this.#lateMs = this.#lateBeforeMs = 0;
  }

  /**
   * @param isFar - Whether answers to clearly later Interests of the same fetch had been there before.
   * @param mayBeLate - Whether it says something about `lateMs`.
   */
  sample(nowMs: number, rttMs: number, isFar: boolean, mayBeLate: boolean): void {
    this.smoothedMs = this.smoothedMs === 0 ? rttMs : this.smoothedMs + (rttMs - this.smoothedMs) * smoothing;
    if (isFar) {
      this.#far.sample(rttMs);
      return;
    }
    if (this.#near.sample(rttMs)) this.#seenAtMs = nowMs;
    if (mayBeLate) this.#sampleLate(nowMs, rttMs);
  }

  #sampleLate(nowMs: number, rttMs: number): void {
    if (nowMs - this.#lateSinceMs >= Math.max(lateForMs, lateForShare * this.minMs)) {
      this.#lateBeforeMs = this.#lateMs;
      this.#lateMs = rttMs;
      this.#lateSinceMs = nowMs;
    } else if (rttMs < this.#lateMs) this.#lateMs = rttMs;
  }

  /** A round trip is over. */
  endRound(): void {
    const [near, far] = [this.#near, this.#far];
    const samples = near.samples + far.samples;
    if (samples > 0) {
      this.#farShare += (far.samples / samples - this.#farShare) * shareSmoothing;
      const main = far.samples > mainFarShare * samples ? far : near;
      this.excessMs = main.roundMs - main.minMs;
      this.#judgeLength();
    }
    near.endRound();
    far.endRound();
  }

  #judgeLength(): void {
    const isLong = this.#near.roundMs > longerTimes * this.minMs + longerMs;
    this.#longRounds = isLong ? this.#longRounds + 1 : 0;
    if (this.#longRounds === longerRounds) this.#near.minMs = this.#near.roundMs;
  }

  /** Whether the minimum was found so long ago that it may be another by now; begins to look for it. */
  isStale(nowMs: number): boolean {
    if (nowMs - this.#seenAtMs < Math.max(windowMs, windowRounds * this.farthestMs)) return false;
    this.#near.look();
    this.#far.look();
    return true;
  }

  /** The path has been given the chance to show its minimum. */
  renew(nowMs: number): void {
    this.#near.renew();
    this.#far.renew();
    this.#seenAtMs = nowMs;
  }
}
