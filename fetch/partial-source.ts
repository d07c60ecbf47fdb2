/** What an earlier fetch that broke off has left of a blob, read before the other sources. */
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobRead, type BlobRef, type BlobSource, BlobUnavailable, type ResumePoint } from "#blob/source.ts";
import type { BlobWriter } from "#store/store-port.ts";

/** Everything that is in the file has been read: not a failure, the next source continues from there. */
export class RestMissing extends BlobUnavailable {}

/** The same events, without the end of a partial, which is no failure. */
export function withoutRestMissing(events: ReadEvents = {}): ReadEvents {
  return {
    ...events,
    unavailable: (source, offset, err) => {
      if (!(err instanceof RestMissing)) events.unavailable?.(source, offset, err);
    },
  };
}

/**
 * The bytes that a broken-off fetch left on disk, as the first of several sources: so they are hashed with the rest,
 * and the next source continues at the byte where they end.
 */
export class PartialSource implements BlobSource {
  readonly name = "store";
  /** Bytes `[0, sentBytes)` of the read came from here. */
  sentBytes = 0;
  readonly #file: Pick<BlobWriter, "sizeBytes" | "read">;
  readonly #endBytes: number;

  constructor(file: Pick<BlobWriter, "sizeBytes" | "writtenBytes" | "read">) {
    this.#file = file;
    this.#endBytes = file.writtenBytes; // the file grows while the later sources write to it
  }

  async open(_blob: BlobRef, from: ResumePoint, signal: AbortSignal): Promise<BlobRead> {
    return { sizeBytes: this.#file.sizeBytes, chunks: this.#chunksFrom(from.offset, signal) };
  }

  async *#chunksFrom(start: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let offset = start;
    try {
      for await (const bytes of this.#file.read(offset, this.#endBytes)) {
        signal.throwIfAborted();
        offset += bytes.length;
        this.sentBytes = offset;
        yield bytes;
      }
    } catch (err: unknown) {
      throw new BlobUnavailable(`the store cannot read on at byte ${offset}`, { cause: err });
    }
    if (offset < this.#file.sizeBytes)
      throw new RestMissing(`the store has ${offset} of ${this.#file.sizeBytes} bytes`);
  }
}
