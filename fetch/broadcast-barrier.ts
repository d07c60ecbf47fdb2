/**
 * Readers that get each chunk together, because there is no file in which one could stay behind: the next chunk comes
 * when all have taken this one. A reader that the others have waited too long for is broken off.
 */
import type { ChangeNotifier } from "#base/waiting.ts";
import { BlobUnavailable } from "#blob/source.ts";

/** One of them. */
interface Reader {
  readonly position: number;
  readonly end: number;
  /** End it now, with this error: the bytes that it is working on are soon others'. */
  breakOff(err: unknown): void;
}

const defaultBudgetMs = 15_000;

export class BroadcastBarrier {
  readonly #readers: ReadonlySet<Reader>;
  readonly #changes: ChangeNotifier;
  readonly #budget: SlowReaderBudget<Reader>;

  /**
   * @param readers - Those that are present.
   * @param changes - Notified when one has taken something or has left.
   */
  constructor(readers: ReadonlySet<Reader>, changes: ChangeNotifier, budgetMs: number = defaultBudgetMs) {
    this.#readers = readers;
    this.#changes = changes;
    this.#budget = new SlowReaderBudget(budgetMs);
  }

  /** Wait until all have taken the bytes before `end`, or want none of them, or have left, or have been broken off. */
  async taken(end: number, signal: AbortSignal): Promise<void> {
    for (let slow = this.#behind(end); slow.size > 0; slow = this.#behind(end)) {
      // While none has taken them no one waits for another.
      const waitedFor = slow.size < this.#readers.size ? slow : new Set<Reader>();
      this.#budget.waitFor(waitedFor, this.#readers);
      const over = [...waitedFor].filter((reader) => this.#budget.leftMs(reader) === 0);
      for (const reader of over) {
        reader.breakOff(new BlobUnavailable("without a file the others cannot wait for so slow a reader"));
      }
      if (over.length === 0) await this.#change(waitedFor, signal);
    }
    this.#budget.waitFor(new Set(), this.#readers);
  }

  #behind(end: number): Set<Reader> {
    return new Set([...this.#readers].filter((reader) => reader.position < Math.min(end, reader.end)));
  }

  /** Until something has changed, or the budget of one of these is used up. */
  async #change(waitedFor: ReadonlySet<Reader>, signal: AbortSignal): Promise<void> {
    if (waitedFor.size === 0) return this.#changes.wait(signal);
    const leftMs = Math.min(...Array.from(waitedFor, (reader) => this.#budget.leftMs(reader)));
    const timer = setTimeout(() => this.#changes.notify(), Math.ceil(leftMs));
    try {
      await this.#changes.wait(signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * How long readers of a broadcast wait for one of them: a time that they wait for it is made good by as much time in
 * which they do not. Readers of about the same pace take turns in being last, and never use it up; one that stands still
 * does at once, and one that is less than half as fast as the others sooner or later.
 */
export class SlowReaderBudget<Reader extends object> {
  readonly #budgetMs: number;
  readonly #waitedMs = new WeakMap<Reader, number>();
  #waitedFor: ReadonlySet<Reader> = new Set();
  #seenMs = performance.now();

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs;
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
    return Math.max(0, this.#budgetMs - this.#waitedOf(reader));
  }

  #waitedOf(reader: Reader): number {
    return this.#waitedMs.get(reader) ?? 0;
  }
}
