/**
 * A token bucket: so much a second on the average, and a burst at once.
 */

/** One bucket for all that take from it. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  /** Below zero it is a debt: the next one waits until it is paid. */
  #tokens: number;
  #filledAtMs = performance.now();
  readonly #queue = new Set<{ readonly count: number; admit(): void }>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param perSecond - Tokens that come each second; above 0.
   * @param burst - Tokens that the bucket holds; it begins full.
   */
  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Take tokens if they are there and no one waits for them; false otherwise. */
  tryTake(count = 1, nowMs = performance.now()): boolean {
    this.#fill(nowMs);
    if (this.#queue.size > 0 || this.#tokens < Math.min(count, this.#burst)) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Resolves when so many tokens have been taken; those that wait are served in order. More than the bucket holds are
   * let through once it is full, and paid off afterwards.
   *
   * @throws The signal's reason.
   */
  async take(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.tryTake(count)) await this.#turn(count, signal);
  }

  #turn(count: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      this.#queue.delete(waiting);
      this.#serve(); // those behind may need less
      reject(signal.reason);
    };
    const admit = () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const waiting = { count, admit };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#queue.add(waiting);
    this.#serve();
    return promise;
  }

  /** Admit those for whom there is enough, in order, and come back when there is for the next. */
  #serve(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#fill(performance.now());
    for (const waiting of this.#queue) {
      const missing = Math.min(waiting.count, this.#burst) - this.#tokens;
      if (missing > 0) {
        this.#timer = setTimeout(() => this.#serve(), Math.max(1, Math.ceil(missing / this.#perMs)));
        return;
      }
      this.#tokens -= waiting.count;
      this.#queue.delete(waiting);
      waiting.admit();
    }
  }

  #fill(nowMs: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
  }
}
