/**
 * How long readers in lock-step wait for one of them: a time that they wait for it is made good by as much time in which
 * they do not. Readers of about the same pace take turns in being last, and never use it up; one that stands still does
 * at once, and one that is less than half as fast as the others sooner or later.
 */
export class Patience<Reader extends object> {
  readonly #patienceMs: number;
  readonly #waitedMs = new WeakMap<Reader, number>();
  #waitedFor: ReadonlySet<Reader> = new Set();
  #seenMs = performance.now();

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** From now on, until this is called again, the others wait for these of all readers. */
  waitFor(waitedFor: ReadonlySet<Reader>, all: Iterable<Reader>): void {
    const nowMs = performance.now();
    const ms = nowMs - this.#seenMs;
    for (const reader of all) {
      const change = this.#waitedFor.has(reader) ? ms : -ms;
      this.#waitedMs.set(reader, Math.max(0, this.#waitedOf(reader) + change));
    }
    this.#seenMs = nowMs;
    this.#waitedFor = waitedFor;
  }

  /** After so long they will have waited too long for this one; 0 when they have. */
  leftMs(reader: Reader): number {
    return Math.max(0, this.#patienceMs - this.#waitedOf(reader));
  }

  #waitedOf(reader: Reader): number {
    return this.#waitedMs.get(reader) ?? 0;
  }
}
