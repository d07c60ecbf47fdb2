/**
 * A read that may be given up before it has brought anything: one of two that race.
 */
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  type SourceName,
} from "./source.ts";

interface Begun {
  readonly read: BlobRead;
  readonly iterator: AsyncIterator<Uint8Array>;
  /** Undefined when there was nothing left to read. */
  readonly first: Uint8Array | undefined;
}

/** A read that has begun as soon as its first bytes are there; it is to be cancelled, or read. */
export class Attempt {
  readonly name: SourceName;
  /** Resolves with the first bytes, or when there are none to come. */
  readonly begun: Promise<Begun>;
  /** Size of the blob, once the source has said it. */
  sizeBytes: number | undefined;
  /** Why it cannot be the one that is read, once that is known. */
  failure: unknown;
  readonly #own = new AbortController();
  readonly #signal: AbortSignal;

  constructor(source: BlobSource, blob: BlobRef, from: ResumePoint, signal: AbortSignal) {
    this.name = source.name;
    this.#signal = AbortSignal.any([signal, this.#own.signal]);
    this.begun = this.#begin(source, blob, from);
    this.begun.catch((err: unknown) => {
      this.failure = err;
    });
  }

  /** End it, whatever it has come to. */
  cancel(reason: unknown): void {
    this.#own.abort(reason);
    void this.begun.then(({ iterator }) => endQuietly(iterator)).catch(() => {});
  }

  /** Continue after the first bytes; `signal` of the attempt ends it also while no one asks for more. */
  async toRead(): Promise<BlobRead> {
    const { read, iterator, first } = await this.begun;
    const signal = this.#signal;
    const end = () => endQuietly(iterator);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    signal.throwIfAborted();
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        if (first) yield first;
        for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
        signal.throwIfAborted(); // ended from outside: that is not the end of the blob
      } finally {
        signal.removeEventListener("abort", end);
        await iterator.return?.();
      }
    }
    return { sizeBytes: read.sizeBytes, source: read.source ?? this.name, chunks: chunks() };
  }

  async #begin(source: BlobSource, blob: BlobRef, from: ResumePoint): Promise<Begun> {
    const read = await source.open(blob, from, this.#signal);
    this.#signal.throwIfAborted();
    this.sizeBytes = read.sizeBytes;
    const iterator = read.chunks[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await iterator.next();
      if (done !== true && value.length === 0) continue;
      if (done === true && from.offset < read.sizeBytes) {
        throw new BlobUnavailable(`${this.name} ended at byte ${from.offset} of ${read.sizeBytes}`);
      }
      return { read, iterator, first: done === true ? undefined : value };
    }
  }
}

/** Let an iterator clean up; one that waits for its signal does so by itself. */
function endQuietly(iterator: AsyncIterator<Uint8Array>): void {
  void iterator.return?.().catch(() => {});
}
