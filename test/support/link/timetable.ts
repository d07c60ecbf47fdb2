/**
 * What is on its way: entries that come out at their times.
 */
import { Fifo } from "./fifo.ts";

/** Something and when it comes out, in the time of `performance.now()`. */
export interface Due<T> {
  readonly atMs: number;
  readonly it: T;
}

/** Entries in the order of their times, those of the same time in the order in which they came. */
export class Timetable<T> {
  /** Nearly all of them: what came in the order of its times. */
  readonly #inOrder = new Fifo<Due<T>>();
  /** The others, sorted: those that overtake or are overtaken. */
  readonly #outOfOrder: Due<T>[] = [];
  #latestMs = Number.NEGATIVE_INFINITY;

  get isEmpty(): boolean {
    return this.#inOrder.length === 0 && this.#outOfOrder.length === 0;
  }

  /** @param isLate - It comes later than what is entered next: that goes on in the order of its own times. */
  enter(atMs: number, it: T, isLate = false): void {
    if (atMs >= this.#latestMs && !isLate) {
      this.#latestMs = atMs;
      this.#inOrder.push({ atMs, it });
      return;
    }
    const outOfOrder = this.#outOfOrder;
    let at = outOfOrder.length;
    while (at > 0 && outOfOrder[at - 1]!.atMs > atMs) at--;
    outOfOrder.splice(at, 0, { atMs, it });
  }

  /** Take the next one that is due; undefined when there is none yet. */
  take(now: number): T | undefined {
    const [regular, irregular] = [this.#inOrder.first, this.#outOfOrder[0]];
    const isIrregular = irregular !== undefined && (regular === undefined || irregular.atMs < regular.atMs);
    const next = isIrregular ? irregular : regular;
    if (next === undefined || next.atMs > now) return undefined;
    if (isIrregular) this.#outOfOrder.shift();
    else this.#inOrder.shift();
    return next.it;
  }
}
