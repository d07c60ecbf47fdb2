/**
 * Puts segments in order into large blocks.
 *
 * Hot path: payloads are copied once, to where they belong; what is handed on are slices of blocks of 32 segments, so
 * that hashing and the HTTP response see quarter megabytes instead of 8 KB (`npm run bench`, row "server, ndnd, client").
 */
import type { SegmentSizes } from "./object-to-fetch.ts";

/** States of a segment. */
const [absent, held, admitted] = [0, 1, 2];

/** Segments in a block. */
const blockSegments = 32;

/** Segments `[base, base + capacity)` of an object; what is contiguous from `base` can be taken. */
export class ReorderBuffer {
  /** First segment that is not yet contiguous with everything before it. */
  contiguous: number;
  /** First segment that has not been taken. */
  taken: number;
  readonly #segmentBytes: number;
  readonly #capacity: number;
  readonly #present: Uint8Array;
  readonly #blocks: (Buffer | undefined)[];
  /** Blocks whose bytes have been read: used again instead of making garbage. */
  readonly #spare: Buffer[] = [];
  /** The block that the reader has been given the end of; spare once it asks for more. */
  #lent: Buffer | undefined;
  readonly #lastSegment: number;
  readonly #lastBytes: number;
  /** Full size, so that any block can be used for any segments; only an object of a single block gets a smaller one. */
  readonly #blockBytes: number;

  /** @param capacity - Segments held at most: a multiple of 32. */
  constructor({ firstSegment, lastSegment, segmentBytes, lastSegmentBytes }: SegmentSizes, capacity: number) {
    this.contiguous = this.taken = firstSegment;
    this.#lastSegment = lastSegment;
    this.#segmentBytes = segmentBytes;
    this.#lastBytes = lastSegmentBytes;
    this.#blockBytes = Math.min(blockSegments, lastSegment + 1) * segmentBytes;
    this.#capacity = capacity;
    this.#present = new Uint8Array(capacity);
    this.#blocks = new Array<Buffer | undefined>(capacity / blockSegments);
  }

  /** Behind the last segment that fits: beyond it nothing may be asked for yet. */
  get limit(): number {
    return Math.min(this.#lastSegment + 1, this.taken - (this.taken % blockSegments) + this.#capacity);
  }

  /** Whether segment `n` is there, admitted or not. */
  has(n: number): boolean {
    return n < this.contiguous || this.#present[n % this.#capacity] !== absent;
  }

  /** Whether segment `n` is there but not admitted. */
  isHeld(n: number): boolean {
    return n >= this.contiguous && this.#present[n % this.#capacity] === held;
  }

  /** Payload size that segment `n` must have. */
  sizeof(n: number): number {
    return n === this.#lastSegment ? this.#lastBytes : this.#segmentBytes;
  }

  /** Copy a payload into place; the caller has checked `has`, `limit` and `sizeof`, and says when it may be taken. */
  put(n: number, buf: Buffer, start: number, end: number): void {
    const slot = Math.floor((n % this.#capacity) / blockSegments);
    let block = this.#blocks[slot];
    if (block === undefined) {
      block = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
      this.#blocks[slot] = block;
    }
    buf.copy(block, (n % blockSegments) * this.#segmentBytes, start, end);
    this.#present[n % this.#capacity] = held;
  }

  /** Segment `n`, which is there, may be taken. */
  admit(n: number): void {
    this.#present[n % this.#capacity] = admitted;
    while (this.contiguous <= this.#lastSegment && this.#present[this.contiguous % this.#capacity] === admitted) {
      this.#present[this.contiguous % this.#capacity] = absent;
      this.contiguous++;
    }
  }

  /** Segment `n`, which is there and not admitted, is not the right one after all. */
  reject(n: number): void {
    this.#present[n % this.#capacity] = absent;
  }

  /** Whether a whole block, or the end of the object, can be taken. */
  get hasWholeBlock(): boolean {
    if (this.contiguous > this.#lastSegment) return this.taken <= this.#lastSegment;
    return this.contiguous - (this.taken - (this.taken % blockSegments)) >= blockSegments;
  }

  /**
   * The next contiguous bytes, at most to the end of a block; undefined when there are none.
   * What was taken before is used again from now on.
   */
  take(): Buffer | undefined {
    if (this.#lent) this.#spare.push(this.#lent);
    this.#lent = undefined;
    const first = this.taken;
    const end = Math.min(this.contiguous, first - (first % blockSegments) + blockSegments);
    if (end <= first) return undefined;
    const slot = Math.floor((first % this.#capacity) / blockSegments);
    const block = this.#blocks[slot]!;
    const from = (first % blockSegments) * this.#segmentBytes;
    const to = ((end - 1) % blockSegments) * this.#segmentBytes + this.sizeof(end - 1);
    this.taken = end;
    if (end % blockSegments === 0) {
      this.#lent = block;
      this.#blocks[slot] = undefined;
    }
    return block.subarray(from, to);
  }
}
