/** Sets of half-open intervals of positions, such as the bytes of a blob that are there. */

interface Interval {
  start: number;
  end: number;
}

/** Disjoint intervals in ascending order; those that touch are one. */
export class IntervalSet {
  readonly #intervals: Interval[] = [];

  /** Number of positions in the set. */
  get size(): number {
    return this.#intervals.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Number of intervals. */
  get count(): number {
    return this.#intervals.length;
  }

  /** Add `[start, end)`. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const all = this.#intervals;
    const first = all.findIndex((interval) => interval.end >= start);
    if (first < 0) return void all.push({ start, end });
    let behind = first;
    const merged = { start, end };
    for (; behind < all.length && all[behind]!.start <= end; behind++) {
      merged.start = Math.min(merged.start, all[behind]!.start);
      merged.end = Math.max(merged.end, all[behind]!.end);
    }
    all.splice(first, behind - first, merged);
  }

  /** The first position from `position` on that is not in the set. */
  endFrom(position: number): number {
    const at = this.#intervals.find(({ start, end }) => start <= position && position < end);
    return at?.end ?? position;
  }

  /** The first position from `position` on that is in the set; Infinity when there is none. */
  nextFrom(position: number): number {
    const at = this.#intervals.find(({ end }) => end > position);
    return at ? Math.max(position, at.start) : Number.POSITIVE_INFINITY;
  }
}
