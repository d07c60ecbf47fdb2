/**
 * Who waits for which page of a blob.
 */
import type { SegmentWaiter } from "#ndn/producer.ts";

interface Waiting {
  /** How many bytes of the page are needed. */
  readonly untilBytes: number;
  readonly waiter: SegmentWaiter;
}

/** Those who wait for pages of one blob, by the page's number. */
export class PageWaiters {
  readonly #byPage = new Map<number, Waiting[]>();

  /** Have `waiter` told once page `index` has so many bytes, or is not to be had. */
  add(index: number, untilBytes: number, waiter: SegmentWaiter): void {
    const others = this.#byPage.get(index);
    if (others) others.push({ untilBytes, waiter });
    else this.#byPage.set(index, [{ untilBytes, waiter }]);
  }

  /** Whether an Interest waits for any of the pages `[first, end)`. */
  isAwaited(first: number, end: number): boolean {
    for (let index = first; index < end; index++) if (this.firstOf(index)) return true;
    return false;
  }

  /** The one with a pending Interest that has waited for page `index` for longest. */
  firstOf(index: number): SegmentWaiter | undefined {
    return this.#byPage.get(index)?.find(({ waiter }) => waiter.isWaiting())?.waiter;
  }

  /** Pages that are waited for, and may be told of meanwhile. */
  pages(): number[] {
    return [...this.#byPage.keys()];
  }

  /** Tell those to whom the first so many bytes of page `index` are enough; all of them by default. */
  tell(index: number, filledBytes: number = Number.POSITIVE_INFINITY): void {
    const all = this.#byPage.get(index);
    if (all === undefined) return;
    const left = all.filter(({ untilBytes }) => untilBytes > filledBytes);
    if (left.length > 0) this.#byPage.set(index, left);
    else this.#byPage.delete(index);
    for (const { untilBytes, waiter } of all) if (untilBytes <= filledBytes) waiter.done();
  }
}
