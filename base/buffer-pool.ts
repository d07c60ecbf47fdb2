/**
 * Buffers that are used again: fresh ones cost page faults, and V8 takes their size for a reason to collect garbage.
 */

/** Keeps some buffers of one size between uses. */
export class BufferPool {
  readonly sizeBytes: number;
  readonly #maxKept: number;
  readonly #kept: Buffer[] = [];

  /** @param maxKept - How many unused ones are kept; what is given back beyond that is the collector's. */
  constructor(sizeBytes: number, maxKept: number) {
    this.sizeBytes = sizeBytes;
    this.#maxKept = maxKept;
  }

  /** A buffer with arbitrary content, the caller's until it is given back. */
  take(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.sizeBytes);
  }

  /** Take a buffer of this size back, which no one reads or writes any more; others are ignored. */
  give(buffer: Buffer): void {
    if (buffer.length === this.sizeBytes && this.#kept.length < this.#maxKept) this.#kept.push(buffer);
  }
}
