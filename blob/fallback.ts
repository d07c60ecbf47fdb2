/**
 * Reading a blob from several sources: when one breaks off, the next resumes at the same byte.
 */
import { createHash } from "node:crypto";
import { following } from "#base/abort.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import {
  BlobCorrupt,
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  type SourceName,
} from "./source.ts";

/** A piece of a blob, and its source. */
export interface SourcedChunk {
  readonly source: SourceName;
  readonly bytes: Uint8Array;
}

/** What happens during a read, for logs and for keeping away from a source; the read continues or throws by itself. */
export interface ReadEvents {
  /** `source` could not begin, or broke off when the reader had `offset` bytes. */
  unavailable?(source: SourceName, offset: number, err: BlobUnavailable): void;
  /** Bytes or claims of `source` cannot be those of the blob; where two contradict each other, called for each. */
  corrupt?(source: SourceName, err: BlobCorrupt): void;
  /** Bytes have come, whether or not they can be given out yet; or others come first. */
  arrived?: (() => void) | undefined;
  /** Asked, at any time: see `ResumePoint`. */
  isWaitedFor?: (() => boolean) | undefined;
}

/** A running read of one blob from any of several sources. */
export interface FallbackRead {
  /** Size of the whole blob in bytes, as the first source that served said. */
  readonly sizeBytes: number;
  /** The source of the first byte. */
  readonly source: SourceName;
  /** Sources that come after the one that serves the first byte. */
  readonly left: readonly BlobSource[];
  /** Everyone whose bytes were taken so far. */
  readonly contributors: ReadonlySet<SourceName>;
  /** What was asked for, from the first byte to the last, in order; to be iterated once. Leaving the loop early cancels the read. */
  readonly chunks: AsyncIterable<SourcedChunk>;
  /** Digest of the bytes in the chunks so far; of no use for a part of the blob. */
  digest(): Digest;
}

/**
 * Begin to read from the first source that can serve; resolves when the size is known.
 *
 * @param range - A part of the blob, `[start, end)`, from sources that can be believed for each piece: nothing is proven
 * here. An end beyond the blob's is its own. @defaultValue all of it
 * @throws BlobUnavailable when every source failed; `cause` is an AggregateError. Other errors of a source, an abort
 * among them, are no reason to ask the next one and come through as they are.
 * @throws BlobCorrupt, from the chunks, when what two sources sent cannot be one blob.
 */
export async function openWithFallback(
  sources: readonly BlobSource[],
  blob: BlobRef,
  signal: AbortSignal,
  events: ReadEvents = {},
  range?: { readonly start: number; readonly end: number },
): Promise<FallbackRead> {
  const reader = new FallbackReader(sources, blob, signal, events, range);
  return reader.start();
}

interface Opened {
  readonly source: SourceName;
  readonly read: BlobRead;
}

class FallbackReader {
  readonly #contributors = new Set<SourceName>();
  readonly #waiting: BlobSource[];
  readonly #blob: BlobRef;
  readonly #signal: AbortSignal;
  readonly #events: ReadEvents;
  readonly #hash = createHash("sha256");
  readonly #failures: Error[] = [];
  readonly #start: number;
  readonly #end: number;
  #offset: number;
  #sizeBytes: number | undefined;
  /** Whether the reader knows the size: from then on a source with another one is of no use. */
  #isAnnounced = false;
  /** The source that said the size. */
  #sizedBy: SourceName | undefined;
  #dispute: BlobCorrupt | undefined;

  constructor(
    sources: readonly BlobSource[],
    blob: BlobRef,
    signal: AbortSignal,
    events: ReadEvents,
    { start, end } = { start: 0, end: Number.POSITIVE_INFINITY },
  ) {
    [this.#start, this.#offset, this.#end] = [start, start, end];
    this.#waiting = [...sources];
    this.#blob = blob;
    this.#signal = signal;
    this.#events = events;
  }

  async start(): Promise<FallbackRead> {
    const first = await this.#openNext();
    this.#isAnnounced = true;
    return {
      sizeBytes: first.read.sizeBytes,
      source: first.source,
      left: [...this.#waiting],
      contributors: this.#contributors,
      chunks: this.#chunksFrom(first),
      digest: () => digestOfHash(this.#hash.copy().digest()),
    };
  }

  async #openNext(): Promise<Opened> {
    for (;;) {
      const source = this.#waiting.shift();
      if (!source) throw this.#exhausted();
      const refused = following(this.#signal);
      let by = source.name;
      try {
        const read = await source.open(this.#blob, this.#from(), refused.signal);
        by = read.source ?? by;
        const opened = { source: by, read };
        this.#agreeOnSize(opened);
        return opened;
      } catch (err: unknown) {
        refused.abort(err);
        this.#overcome(by, err);
      }
    }
  }

  #from(): ResumePoint {
    const end = this.#end === Number.POSITIVE_INFINITY ? {} : { end: this.#end };
    const { arrived, isWaitedFor } = this.#events;
    const from = { offset: this.#offset, sizeBytes: this.#sizeBytes, arrived, isWaitedFor, ...end };
    // The prefix is hashed on demand: a source asks before it sends anything, the running hash is still at `offset`.
    return this.#start === 0 ? { ...from, prefixSha256: () => this.#hash.copy().digest() } : from;
  }

  async *#chunksFrom(first: Opened): AsyncGenerator<SourcedChunk> {
    let current = first;
    for (;;) {
      const { source, read } = current;
      const end = Math.min(this.#end, read.sizeBytes);
      try {
        if (this.#offset >= end && end > 0) return;
        for await (const piece of read.chunks) {
          if (piece.length === 0) continue;
          const bytes = this.#take(source, piece);
          yield { source, bytes };
          if (this.#offset === end) return;
        }
        if (end === 0) return;
        throw new BlobUnavailable(`${source} ended at byte ${this.#offset} of ${end}`);
      } catch (err: unknown) {
        this.#overcome(source, err);
      }
      current = await this.#openNext();
    }
  }

  #take(source: SourceName, piece: Uint8Array): Uint8Array {
    const bytes = piece.length > this.#end - this.#offset ? piece.subarray(0, this.#end - this.#offset) : piece;
    const end = this.#offset + bytes.length;
    if (end > this.#sizeBytes!) throw new BlobCorrupt(`${source} sent more than the ${this.#sizeBytes} bytes it said`);
    this.#contributors.add(source);
    this.#events.arrived?.();
    if (this.#start === 0) this.#hash.update(bytes);
    this.#offset = end;
    return bytes;
  }

  /** Return when the next source may be asked, else throw. */
  #overcome(source: SourceName, err: unknown): void {
    this.#signal.throwIfAborted();
    if (err instanceof BlobUnavailable) this.#events.unavailable?.(source, this.#offset, err);
    else if (!(err instanceof BlobCorrupt)) throw err;
    else if (this.#offset === this.#start && err !== this.#dispute) this.#events.corrupt?.(source, err);
    else {
      // What is already out, bytes or a size, may be the wrong one: to continue cannot repair that, nor is it known whose it was.
      const suspects = [source, ...this.#contributors, this.#sizedBy ?? source];
      for (const suspect of new Set(suspects)) this.#events.corrupt?.(suspect, err);
      throw err;
    }
    if (!this.#isAnnounced) this.#sizeBytes = undefined;
    this.#failures.push(err);
  }

  #agreeOnSize({ source, read: { sizeBytes } }: Opened): void {
    if (this.#sizeBytes === undefined) [this.#sizeBytes, this.#sizedBy] = [sizeBytes, source];
    if (sizeBytes === this.#sizeBytes) return;
    const err = new BlobCorrupt(`${source} has ${sizeBytes} bytes of a blob of ${this.#sizeBytes}`);
    if (this.#isAnnounced) this.#dispute = err;
    throw err;
  }

  #exhausted(): BlobUnavailable {
    const cause = new AggregateError(this.#failures, this.#failures.map((err) => err.message).join("; "));
    return new BlobUnavailable(`${this.#blob.digest}: every source stopped by byte ${this.#offset}`, { cause });
  }
}
