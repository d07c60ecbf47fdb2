/**
 * How many bytes pullers were given in each of the last seconds.
 */

/** Seconds that are remembered. */
export const historySeconds = 120;

/** A ring of one counter per second; nothing outlives the process. */
export class ByteHistory {
  readonly #now: () => number;
  readonly #bytes = new Float64Array(historySeconds + 1);
  /** The second that the newest counter is of. */
  #second: number;

  /** @param now - Milliseconds of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#second = Math.floor(now() / 1000);
  }

  add(bytes: number): void {
    this.#proceed();
    this.#bytes[this.#second % this.#bytes.length]! += bytes;
  }

  /** Bytes in each of the last 120 whole seconds, the oldest first. */
  perSecond(): number[] {
    this.#proceed();
    const { length } = this.#bytes;
    return Array.from({ length: historySeconds }, (_, i) => this.#bytes[(this.#second + 1 + i) % length]!);
  }

  /** Empty the counters of the seconds that have begun since. */
  #proceed(): void {
    const second = Math.floor(this.#now() / 1000);
    const { length } = this.#bytes;
    for (let next = Math.max(this.#second + 1, second - length + 1); next <= second; next++)
      this.#bytes[next % length] = 0;
    this.#second = Math.max(this.#second, second);
  }
}
