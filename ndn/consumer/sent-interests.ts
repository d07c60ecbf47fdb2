/**
 * The Interests of one fetch that are unanswered, in the order in which they were sent.
 *
 * Hot path: a list in typed arrays, so that one that is answered leaves it without a search, those that are overdue are at
 * its head, and nothing is allocated per segment.
 */
import type { PathLoad } from "./prefix-path.ts";
import { copyRing } from "./ring.ts";

/** Ends of the list, and "not in it". */
const [none, unlisted] = [-1, -2];

/** Segments in a window of `capacity` numbers, each of which has been asked for or not. */
export class SentInterests {
  /** Interests in the list. */
  count = 0;
  readonly #load: PathLoad;
  #capacity: number;
  #segments: Uint32Array;
  #sentAtMs: Float64Array;
  #tries: Uint8Array;
  #older: Int32Array;
  #newer: Int32Array;
  #oldest = none;
  #newest = none;
  /** The oldest that may be on the path; all older ones have been overtaken. */
  #oldestOnPath = none;
  #overtakenBeforeMs = Number.NEGATIVE_INFINITY;

  /** @param capacity - Segments between the oldest and the newest that may be in the list. */
  constructor(capacity: number, load: PathLoad) {
    this.#capacity = capacity;
    this.#load = load;
    this.#segments = new Uint32Array(capacity);
    this.#sentAtMs = new Float64Array(capacity);
    this.#tries = new Uint8Array(capacity);
    this.#older = new Int32Array(capacity).fill(unlisted);
    this.#newer = new Int32Array(capacity);
  }

  /** Make room for more numbers, at least twice as many; those from `first` on may be in the list, or have been. */
  enlarge(capacity: number, first: number): void {
    const [segments, sentAtMs, tries] = [this.#segments, this.#sentAtMs, this.#tries];
    const [older, newer] = [this.#older, this.#newer];
    this.#capacity = capacity;
    this.#segments = new Uint32Array(capacity);
    this.#sentAtMs = new Float64Array(capacity);
    this.#tries = new Uint8Array(capacity);
    this.#older = new Int32Array(capacity).fill(unlisted);
    this.#newer = new Int32Array(capacity);
    const moved = (slot: number) => (slot < 0 ? slot : segments[slot]! % capacity);
    copyRing(segments, this.#segments, first);
    copyRing(sentAtMs, this.#sentAtMs, first);
    copyRing(tries, this.#tries, first);
    copyRing(older.map(moved), this.#older, first);
    copyRing(newer.map(moved), this.#newer, first);
    this.#oldest = moved(this.#oldest);
    this.#newest = moved(this.#newest);
    this.#oldestOnPath = moved(this.#oldestOnPath);
  }

  /** Whether segment `n` is asked for and unanswered. */
  has(n: number): boolean {
    const slot = n % this.#capacity;
    return this.#older[slot] !== unlisted && this.#segments[slot] === n;
  }

  /** How often segment `n` has been asked for. */
  tries(n: number): number {
    return this.#tries[n % this.#capacity]!;
  }

  /** Whether segment `n`, which is in the list, has been overtaken on the path. */
  isOvertaken(n: number): boolean {
    return this.#sentAtMs[n % this.#capacity]! < this.#overtakenBeforeMs;
  }

  /** When segment `n`, of which `tries` is not 0, was last asked for. */
  sentAtMs(n: number): number {
    return this.#sentAtMs[n % this.#capacity]!;
  }

  /** The one that was sent last; there must be one. */
  get newest(): number {
    return this.#segments[this.#newest]!;
  }

  /** When the oldest of the list was sent; there must be one. */
  get oldestSentAtMs(): number {
    return this.#sentAtMs[this.#oldest]!;
  }

  /** Segment `n`, which is not in the list, is asked for now; time never goes back. */
  add(n: number, nowMs: number): void {
    const slot = n % this.#capacity;
    this.#segments[slot] = n;
    this.#sentAtMs[slot] = nowMs;
    this.#tries[slot] = Math.min(255, this.#tries[slot]! + 1);
    this.#older[slot] = this.#newest;
    this.#newer[slot] = none;
    if (this.#newest === none) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
    if (this.#oldestOnPath === none) this.#oldestOnPath = slot;
    this.count++;
    this.#load.onPath++;
  }

  /** Segment `n` need not be asked for any more. */
  settle(n: number): void {
    this.drop(n);
    this.#tries[n % this.#capacity] = 0;
  }

  /** Segment `n` is no longer waited for, but its time and tries are remembered. */
  drop(n: number): void {
    const slot = n % this.#capacity;
    const older = this.#older[slot]!;
    const newer = this.#newer[slot]!;
    if (older === unlisted) return;
    if (older === none) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === none) this.#newest = older;
    else this.#older[newer] = older;
    if (slot === this.#oldestOnPath) this.#oldestOnPath = newer;
    if (this.#sentAtMs[slot]! < this.#overtakenBeforeMs) this.#load.waiting--;
    else this.#load.onPath--;
    this.#older[slot] = unlisted;
    this.count--;
  }

  /** Drop all of them, as when the fetch ends. */
  dropAll(): void {
    while (this.#oldest !== none) this.drop(this.#segments[this.#oldest]!);
  }

  /** Interests sent before `beforeMs` have been overtaken on the uplink; that is never taken back. */
  overtake(beforeMs: number): void {
    if (beforeMs <= this.#overtakenBeforeMs) return;
    this.#overtakenBeforeMs = beforeMs;
    while (this.#oldestOnPath !== none && this.#sentAtMs[this.#oldestOnPath]! < beforeMs) {
      this.#load.onPath--;
      this.#load.waiting++;
      this.#oldestOnPath = this.#newer[this.#oldestOnPath]!;
    }
  }

  /** Call `visit` for those sent before `beforeMs`, oldest first; it may drop the one that it is called with. */
  forEachSentBefore(beforeMs: number, visit: (n: number, sentAtMs: number, tries: number) => void): void {
    let slot = this.#oldest;
    while (slot !== none && this.#sentAtMs[slot]! < beforeMs) {
      const newer = this.#newer[slot]!;
      visit(this.#segments[slot]!, this.#sentAtMs[slot]!, this.#tries[slot]!);
      slot = newer;
    }
  }
}
