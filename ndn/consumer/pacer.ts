/**
 * Spreads Interests over time: what answers them stands in the queue of the narrowest place on the way, and a burst of
 * them would fill it.
 */

/** What may be sent at once after a pause: timers come late, and what they missed is made up for. */
const [minBurstMs, maxBurstMs] = [2, 20];
const burstShare = 1 / 8;
const burstSegments = 8;

/** A token bucket whose rate may change at any time. */
export class Pacer {
  #credit = Number.POSITIVE_INFINITY;
  #creditAtMs = Number.NEGATIVE_INFINITY;

  /**
   * How many Interests may be sent now; a fraction counts.
   *
   * @param perMs - Interests per millisecond, or infinity.
   * @param rttMs - Of the path: a burst of an eighth of it does no harm.
   */
  credit(nowMs: number, perMs: number, rttMs: number): number {
    const burst = perMs * Math.min(maxBurstMs, Math.max(minBurstMs, rttMs * burstShare)) + burstSegments;
    const earned = Number.isFinite(perMs) ? perMs * (nowMs - this.#creditAtMs) : perMs;
    this.#credit = Math.min(burst, this.#credit + earned);
    this.#creditAtMs = nowMs;
    return this.#credit;
  }

  /** So many have been sent. */
  sent(count: number): void {
    this.#credit -= count;
  }
}
