/** Sets of half-open intervals of positions, such as the bytes of a blob that are there. */

interface Interval {
  start: number;
  end: number;
}

/** Disjoint intervals in ascending order; those that touch are one. Each call looks at few of them, however many there are. */
export class IntervalSet {
  readonly #intervals: Interval[] = [];
  #size = 0;

  /** Number of positions in the set. */
  get size(): number {
    return this.#size;
  }

  /** Number of intervals. */
  get count(): number {
    return this.#intervals.length;
  }

  /** Add `[start, end)`. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const all = this.#intervals;
    const first = this.#firstEndingAt(start);
    let behind = first;
    const merged = { start, end };
    for (; behind < all.length && all[behind]!.start <= end; behind++) {
      merged.start = Math.min(merged.start, all[behind]!.start);
      merged.end = Math.max(merged.end, all[behind]!.end);
      this.#size -= all[behind]!.end - all[behind]!.start;
    }
    all.splice(first, behind - first, merged);
    this.#size += merged.end - merged.start;
  }

  /** The first position from `position` on that is not in the set. */
  endFrom(position: number): number {
    const at = this.#intervals[this.#firstEndingAt(position + 1)];
    return at && at.start <= position ? at.end : position;
  }

  /** The first position from `position` on that is in the set; Infinity when there is none. */
  nextFrom(position: number): number {
    const at = this.#intervals[this.#firstEndingAt(position + 1)];
    return at ? Math.max(position, at.start) : Number.POSITIVE_INFINITY;
  }

  /** Index of the first interval that ends at `position` or later. */
  #firstEndingAt(position: number): number {
    let [low, high] = [0, this.#intervals.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#intervals[middle]!.end >= position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
