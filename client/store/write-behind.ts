import { Bell } from "./bell.ts";

/** Where the bytes go; the buffer may be used again when `write` resolves. */
interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

const never = new AbortController().signal;

/**
 * Writes while the next bytes are being fetched: what comes during a write is collected and written in one piece.
 * Saves one trip to the thread pool per 64 KiB chunk of an upstream's body; holds two buffers.
 */
export class WriteBehind {
  readonly #sink: Sink;
  readonly #onWritten: (sizeBytes: number) => void;
  readonly #bell = new Bell();
  #filling: Buffer;
  #spare: Buffer;
  #filledBytes = 0;
  #inWrite: Buffer | undefined;
  #isWriting = false;
  #failure: Error | undefined;

  /** @param onWritten - Called with the size of each piece that has been written. */
  constructor(sink: Sink, bufferBytes: number, onWritten: (sizeBytes: number) => void) {
    this.#sink = sink;
    this.#onWritten = onWritten;
    this.#filling = Buffer.allocUnsafeSlow(bufferBytes);
    this.#spare = Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Why nothing is written any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What was taken, but is not written: after a failure, all there is of it. */
  get unwritten(): Buffer[] {
    return [...(this.#inWrite ? [this.#inWrite] : []), this.#filling.subarray(0, this.#filledBytes)];
  }

  /**
   * Take over the bytes; waits only while both buffers are full.
   *
   * @returns How many were taken: fewer than given only after a write has failed.
   */
  async append(bytes: Uint8Array): Promise<number> {
    let taken = 0;
    while (taken < bytes.length && !this.#failure) {
      const piece = bytes.subarray(taken, taken + this.#filling.length - this.#filledBytes);
      if (piece.length === 0) {
        await this.#bell.heard(never);
        continue;
      }
      this.#filling.set(piece, this.#filledBytes);
      this.#filledBytes += piece.length;
      taken += piece.length;
      if (!this.#isWriting) void this.#writeAll();
    }
    return taken;
  }

  /** Wait until nothing is being written; false when a write has failed. */
  async flush(): Promise<boolean> {
    while (this.#isWriting) await this.#bell.heard(never);
    return this.#failure === undefined;
  }

  // Never rejects: whoever meets the failure in `append` or `flush` has a use for the bytes.
  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#filledBytes > 0) {
        const piece = this.#filling.subarray(0, this.#filledBytes);
        [this.#filling, this.#spare, this.#filledBytes] = [this.#spare, this.#filling, 0];
        this.#inWrite = piece;
        this.#bell.ring();
        await this.#sink.write(piece);
        this.#inWrite = undefined;
        this.#onWritten(piece.length);
      }
    } catch (err: unknown) {
      this.#failure = err instanceof Error ? err : new Error(String(err));
    } finally {
      this.#isWriting = false;
      this.#bell.ring();
    }
  }
}
