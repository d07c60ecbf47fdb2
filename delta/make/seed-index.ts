/**
 * Where bytes occur: a hash table of every second position with the eight bytes from there on, which finds each run of nine
 * equal bytes.
 */

const seedBytes = 8;
const stepBytes = 2;
/** Of one hash; the longest of so many runs is about as long as the longest of all. */
const maxTried = 16;
/** A run of this length is long enough to be taken without trying others, */
const longRun = 128;
/** and one is followed no further than this; both bound the time for bytes that repeat themselves. */
const maxRun = 4096;

export class SeedIndex {
  /** Of the run that `findLongest` found: where it begins, and its length, 0 for none. */
  start = 0;
  length = 0;
  #bytes: Uint8Array = new Uint8Array();
  #shift = 31;
  /** Per hash the first position, and per position the next one, in steps and counted from 1; 0 is none. */
  #first = new Uint32Array(2);
  #next = new Uint32Array(1);

  /** Index other bytes: 4 bytes of memory, which is used again, for each one or two of them. */
  use(bytes: Uint8Array): void {
    const steps = Math.max(0, Math.ceil((bytes.length - seedBytes + 1) / stepBytes));
    const log = Math.min(22, Math.max(1, Math.ceil(Math.log2(steps + 1))));
    this.#bytes = bytes;
    this.#shift = 32 - log;
    this.#first = this.#first.length < 1 << log ? new Uint32Array(1 << log) : this.#first.fill(0);
    if (this.#next.length <= steps) this.#next = new Uint32Array(steps + 1);
    const view = viewOf(bytes);
    for (let step = steps; step > 0; step--) {
      const hash = this.#hashOf(view, (step - 1) * stepBytes);
      this.#next[step] = this.#first[hash]!;
      this.#first[hash] = step;
    }
  }

  /** Find the longest run that equals `bytes` from `at` on; the result is in `start` and `length`. */
  findLongest(bytes: Uint8Array, view: DataView, at: number): void {
    this.length = 0;
    if (at + seedBytes > bytes.length) return;
    let step = this.#first[this.#hashOf(view, at)]!;
    for (let tried = 0; step > 0 && tried < maxTried && this.length < longRun; tried++, step = this.#next[step]!) {
      const start = (step - 1) * stepBytes;
      // Longer than the one before only if this byte is the same, too.
      if (this.#bytes[start + this.length] !== bytes[at + this.length]) continue;
      const length = equalRun(this.#bytes, start, bytes, at, maxRun);
      if (length > this.length) [this.start, this.length] = [start, length];
    }
  }

  #hashOf(view: DataView, at: number): number {
    const mixed = Math.imul(view.getInt32(at, true), 0x9e3779b1) ^ view.getInt32(at + 4, true);
    return Math.imul(mixed, 0x85ebca6b) >>> this.#shift;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** How many bytes are the same from `aStart` and `bStart` on; positions that are not within the bytes are never the same. */
export function equalRun(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, atMost = b.length): number {
  if (aStart < 0) return 0;
  const most = Math.min(a.length - aStart, b.length - bStart, atMost);
  let length = 0;
  while (length < most && a[aStart + length] === b[bStart + length]) length++;
  return length;
}
