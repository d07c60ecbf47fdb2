/**
 * Puts segments in order into large blocks.
 *
 * Hot path: payloads are copied once, to where they belong; what is handed on are slices of blocks of 32 segments, so
 * that hashing and the HTTP response see quarter megabytes instead of 8 KB (`npm run bench`, row "server, ndnd, client").
 */
import type { FetchMemory } from "./fetch-memory.ts";
import type { SegmentSizes } from "./object-to-fetch.ts";
import { copyRing } from "./ring.ts";

/** States of a segment. */
const [absent, held, admitted] = [0, 1, 2];

/** Segments from the block that the reader is in to the newest one, to begin with: 8 MiB of 8192 bytes each. */
const firstCapacity = 1024;
/** What is in order and not taken, at most, before more is asked for: 100 ms of 80 MB/s. */
const maxUntakenBytes = 8 * 1024 * 1024;
/** Capacities are multiples of this, and so of the segments in a block. */
const capacityStep = 32;

/** A window over the segments of an object that moves with its reader; what is contiguous can be taken. */
export class ReorderBuffer {
  /** Segments that the window has places for: twice as many whenever they are all needed. */
  capacity: number;
  /** First segment that is not yet contiguous with everything before it. */
  contiguous: number;
  /** First segment that has not been taken. */
  taken: number;
  readonly #memory: FetchMemory;
  readonly #segmentBytes: number;
  readonly #lastSegment: number;
  readonly #lastBytes: number;
  readonly #blockSegments: number;
  /** Full size, so that any block can be used for any segments; only an object of a single block gets a smaller one. */
  readonly #blockBytes: number;
  #present: Uint8Array;
  #blocks: (Buffer | undefined)[];
  /** The block that the reader has been given the end of; someone else's once it asks for more. */
  #lent: Buffer | undefined;
  /** Behind the last block that there is memory for. */
  #reservedEnd: number;
  #reservedBlocks = 0;
  /** Whether the reader waits for bytes, rather than bytes for the reader. */
  #isAwaited = true;

  constructor({ firstSegment, lastSegment, segmentBytes, lastSegmentBytes }: SegmentSizes, memory: FetchMemory) {
    this.contiguous = this.taken = firstSegment;
    this.#memory = memory;
    this.#lastSegment = lastSegment;
    this.#segmentBytes = segmentBytes;
    this.#lastBytes = lastSegmentBytes;
    this.#blockSegments = memory.join();
    this.#blockBytes = Math.min(this.#blockSegments, lastSegment + 1) * segmentBytes;
    this.#reservedEnd = this.#blockStart;
    const segments = lastSegment + 1 - (firstSegment - (firstSegment % capacityStep));
    this.capacity = Math.min(firstCapacity, Math.ceil(segments / capacityStep) * capacityStep);
    this.#present = new Uint8Array(this.capacity);
    this.#blocks = new Array<Buffer | undefined>(this.capacity / this.#blockSegments);
  }

  /** First segment of the block that the reader is in. */
  get #blockStart(): number {
    return this.taken - (this.taken % this.#blockSegments);
  }

  /** Behind the last segment that there is room for: beyond it nothing may be asked for yet. */
  get limit(): number {
    return Math.min(this.#lastSegment + 1, this.#reservedEnd);
  }

  /** Whether there may be room for more. */
  get canGrow(): boolean {
    if (this.#reservedEnd > this.#lastSegment) return false;
    if ((this.contiguous - this.taken) * this.#segmentBytes >= maxUntakenBytes) return false;
    return this.#memory.hasRoom(this.#reservedBlocks, this.#blockBytes, this.#isAwaited);
  }

  /** Make room for one block more. @returns whether the capacity has changed. */
  grow(): boolean {
    this.#reservedEnd += this.#blockSegments;
    this.#memory.grow(this.#reservedBlocks++, this.#blockBytes);
    if (this.#reservedEnd - this.#blockStart <= this.capacity) return false;
    this.#enlarge();
    return true;
  }

  #enlarge(): void {
    const [present, blocks] = [this.#present, this.#blocks];
    this.capacity *= 2;
    this.#present = new Uint8Array(this.capacity);
    this.#blocks = new Array<Buffer | undefined>(this.capacity / this.#blockSegments);
    copyRing(present, this.#present, this.#blockStart);
    copyRing(blocks, this.#blocks, this.#blockStart / this.#blockSegments);
  }

  #slotOf(n: number): number {
    return Math.floor((n % this.capacity) / this.#blockSegments);
  }

  /** Whether segment `n` is there, admitted or not. */
  has(n: number): boolean {
    return n < this.contiguous || this.#present[n % this.capacity] !== absent;
  }

  /** Whether segment `n` is there but not admitted. */
  isHeld(n: number): boolean {
    return n >= this.contiguous && this.#present[n % this.capacity] === held;
  }

  /** Payload size that segment `n` must have. */
  sizeof(n: number): number {
    return n === this.#lastSegment ? this.#lastBytes : this.#segmentBytes;
  }

  /** Copy a payload into place; the caller has checked `has`, `limit` and `sizeof`, and says when it may be taken. */
  put(n: number, buf: Buffer, start: number, end: number): void {
    const slot = this.#slotOf(n);
    let block = this.#blocks[slot];
    if (block === undefined) {
      block = this.#memory.take(this.#blockBytes);
      this.#blocks[slot] = block;
    }
    buf.copy(block, (n % this.#blockSegments) * this.#segmentBytes, start, end);
    this.#present[n % this.capacity] = held;
  }

  /** Segment `n`, which is there, may be taken. */
  admit(n: number): void {
    this.#present[n % this.capacity] = admitted;
    while (this.contiguous <= this.#lastSegment && this.#present[this.contiguous % this.capacity] === admitted) {
      this.#present[this.contiguous % this.capacity] = absent;
      this.contiguous++;
    }
    if (this.contiguous >= this.limit) this.#await(false); // all that there is room for waits for the reader
  }

  /** Segment `n`, which is there and not admitted, is not the right one after all. */
  reject(n: number): void {
    this.#present[n % this.capacity] = absent;
  }

  /** Whether a whole block, or the end of the object, can be taken. */
  get hasWholeBlock(): boolean {
    if (this.contiguous > this.#lastSegment) return this.taken <= this.#lastSegment;
    return this.contiguous - this.#blockStart >= this.#blockSegments;
  }

  /**
   * The next contiguous bytes, at most to the end of a block; undefined when there are none.
   * What was taken before is used again from now on.
   */
  take(): Buffer | undefined {
    this.#takeBack();
    const first = this.taken;
    const end = Math.min(this.contiguous, this.#blockStart + this.#blockSegments);
    if (end <= first) {
      this.#await(true);
      return undefined;
    }
    const slot = this.#slotOf(first);
    const block = this.#blocks[slot]!;
    const from = (first % this.#blockSegments) * this.#segmentBytes;
    const to = ((end - 1) % this.#blockSegments) * this.#segmentBytes + this.sizeof(end - 1);
    this.taken = end;
    if (end % this.#blockSegments === 0 || end > this.#lastSegment) {
      this.#lent = block;
      this.#blocks[slot] = undefined;
    }
    return block.subarray(from, to);
  }

  #takeBack(): void {
    if (this.#lent === undefined) return;
    this.#memory.give(this.#lent);
    this.#lent = undefined;
    this.#memory.shrink(this.#reservedBlocks--, this.#blockBytes);
  }

  #await(isAwaited: boolean): void {
    if (isAwaited === this.#isAwaited) return;
    this.#isAwaited = isAwaited;
    this.#memory.awaits(isAwaited);
  }

  /** The fetch is over: nothing is put or taken any more. A block that the reader may still look at is not used again. */
  close(): void {
    if (this.taken % this.#blockSegments > 0) {
      this.#blocks[this.#slotOf(this.taken)] = undefined;
    }
    for (const block of this.#blocks) if (block) this.#memory.give(block);
    while (this.#reservedBlocks > 0) this.#memory.shrink(this.#reservedBlocks--, this.#blockBytes);
    this.#memory.leave(this.#isAwaited);
  }
}
