/**
 * Bounds: on how much runs at once (so many have a permit, the others wait in order), and on how much passes per second.
 */

/** More would wait than may. */
export class SemaphoreFull extends Error {
  override readonly name = "SemaphoreFull";
}

/** A counting semaphore, first come, first served. */
export class Semaphore {
  readonly #permits: number;
  readonly #maxWaiting: number;
  /** Permits that are in use; counted here only. */
  inUse = 0;
  readonly #queue = new Set<() => void>();

  /**
   * @param permits - How many may run at once; at least 1.
   * @param maxWaiting - How many may wait. @defaultValue no bound
   */
  constructor(permits: number, maxWaiting: number = Number.POSITIVE_INFINITY) {
    this.#permits = permits;
    this.#maxWaiting = maxWaiting;
  }

  /** How many wait for one. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Wait for a permit; the caller gives it back with `release`.
   *
   * @param signal - Leaves the queue.
   * @throws SemaphoreFull when too many wait already.
   * @throws The signal's reason; then there is nothing to release.
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.inUse < this.#permits) this.inUse++;
    else await this.#turn(signal);
  }

  /** Give a permit back; the one that waits longest gets it. */
  release(): void {
    const [next] = this.#queue;
    if (next === undefined) this.inUse--;
    else next();
  }

  /** Run `work` while holding a permit. @throws What `acquire` and `work` throw. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.acquire(signal);
    try {
      return await work();
    } finally {
      this.release();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#queue.size >= this.#maxWaiting) throw new SemaphoreFull(`${this.#maxWaiting} wait for the same already`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      this.#queue.delete(admit);
      reject(signal!.reason);
    };
    const admit = () => {
      this.#queue.delete(admit);
      signal?.removeEventListener("abort", onAbort);
      resolve();
    };
    this.#queue.add(admit);
    signal?.addEventListener("abort", onAbort, { once: true });
    return promise;
  }
}

/**
 * Do `work` for every item, at most `limit` at a time.
 *
 * @throws The first failure, when all running work has ended; what has not begun by then never does.
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const worker = async () => {
    for (let next = iterator.next(); !next.done && failures.length === 0; next = iterator.next()) {
      await work(next.value).catch((err: unknown) => failures.push(err));
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failures.length > 0) throw failures[0];
}

/** A token bucket: so much a second on the average, and a burst at once; one for all that take from it. */
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

  /** Give back what was taken and not used. */
  giveBack(count = 1): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + count);
    if (this.#queue.size > 0) this.#serve();
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
