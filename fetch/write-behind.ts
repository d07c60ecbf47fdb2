import { Bell } from "#base/change-notifier.ts";
import { type Loan, TailBuffers } from "./tail-buffers.ts";

/** Where the bytes go; the buffer may be used again when `write` resolves. */
interface Sink {
  /** Bytes that are there already. */
  readonly writtenBytes: number;
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Writes while the next bytes are being fetched: what comes during a write is collected and written in one piece.
 * Saves one trip to the thread pool per 64 KiB chunk of an upstream's body.
 */
export class WriteBehind {
  readonly #sink: Sink;
  readonly #onWritten: (sizeBytes: number) => void;
  readonly #bell = new Bell();
  readonly #tail: TailBuffers;
  #isWriting = false;
  #failure: Error | undefined;

  /** @param onWritten - Called with the size of each piece that has been written. */
  constructor(sink: Sink, bufferBytes: number, onWritten: (sizeBytes: number) => void) {
    this.#sink = sink;
    this.#onWritten = onWritten;
    this.#tail = new TailBuffers(bufferBytes, sink.writtenBytes);
  }

  /** Why nothing is written any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What was taken, but is not written: after a failure, all there is of it. */
  get unwritten(): Uint8Array[] {
    return this.#tail.unwritten;
  }

  /** Lend what was taken, written or not, from this byte of the sink on; undefined when it cannot be lent. */
  lend(position: number): Loan | undefined {
    return this.#tail.lend(position);
  }

  /**
   * Take over the bytes; waits only while all buffers are waiting to be written.
   *
   * @returns How many were taken: fewer than given only after a write has failed.
   */
  async append(bytes: Uint8Array): Promise<number> {
    let taken = 0;
    while (taken < bytes.length && !this.#failure) {
      const copied = this.#tail.append(taken === 0 ? bytes : bytes.subarray(taken));
      if (copied === 0) await this.#bell.next();
      else if (!this.#isWriting) void this.#writeAll();
      taken += copied;
    }
    return taken;
  }

  /** Wait until nothing is being written; false when a write has failed. */
  async flush(): Promise<boolean> {
    while (this.#isWriting) await this.#bell.next();
    return this.#failure === undefined;
  }

  /** Nobody wants anything lent any more; after this nothing may be appended. */
  async close(): Promise<void> {
    if (await this.flush()) this.#tail.close(); // else its buffers may be in the hands of readers
  }

  // Never rejects: whoever meets the failure in `append` or `flush` has a use for the bytes.
  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let [piece] = this.#tail.unwritten; piece; [piece] = this.#tail.unwritten) {
        await this.#sink.write(piece);
        this.#tail.written(piece.length);
        this.#bell.ring();
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
