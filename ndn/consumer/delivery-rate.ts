/**
 * The rate at which a path delivers: the highest of the last rounds in which it was the limit.
 */

/** As many as between two probes: what one of them has found lasts until the next. */
const maxRounds = 8;
/** Congestion costs no more than this at a time. */
const lowered = 0.9;

/** In segments per millisecond. */
export class DeliveryRate {
  /** 0 as long as nothing is known. */
  perMs = 0;
  readonly #rates: number[] = [];

  /** @param isLimit - Whether the path was the limit: else the rate says what was asked for, and counts when it is higher. */
  learn(perMs: number, isLimit: boolean): void {
    if (!isLimit && perMs < this.perMs) return;
    this.#rates.push(perMs);
    if (this.#rates.length > maxRounds) this.#rates.shift();
    this.perMs = Math.max(...this.#rates);
  }

  /** The path is congested: what it delivered last is what it can. */
  lower(): void {
    const bound = Math.max(this.#rates.at(-1) ?? 0, lowered * this.perMs);
    for (const [i, rate] of this.#rates.entries()) this.#rates[i] = Math.min(rate, bound);
    this.perMs = Math.min(this.perMs, bound);
  }
}
