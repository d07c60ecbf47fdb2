/**
 * Who reads a fetch, and for whom each of its bytes was fetched: for everyone else they come from the store.
 */
import type { SourcedChunk } from "#blob/fallback.ts";
import type { SourceName } from "#blob/source.ts";
import type { FetchRequest } from "./fetcher.ts";

/** One of the readers, as the in-flight blob sees it. */
export interface InFlightReader {
  /** The reader has taken all bytes before this one. */
  position: number;
  /** It wants none from this one on. */
  end: number;
  /** What it gets instead of further bytes. */
  readonly failure: unknown;
  /** End it now, with this error; what sends its bytes on must stop at once. */
  breakOff(err: unknown): void;
  /** Take it off the list of those who are present. */
  leave(): void;
}

/** One reader of a shared fetch, from joining to leaving. */
export class FetchReader implements InFlightReader {
  /** The blob as it asked for it, and where it may be read with its own rights; undefined for one that only follows. */
  readonly request: FetchRequest | undefined;
  /** Once the size is known; false when the blob cannot be shared and the reader is on its own. */
  readonly isShared = Promise.withResolvers<boolean>();
  /** Fires when the others wait no longer for this reader: what it is being sent is to be broken off at once. */
  readonly brokenOff = new AbortController();
  position = 0;
  end = Number.POSITIVE_INFINITY;
  /** Its own sources have been asked. */
  hasLed = false;
  /** What its own sources failed with. */
  ownFailure: unknown;
  /** The end of it, before all bytes were there. */
  failure: unknown;
  /** Give up what is left; harmless when it has left already. */
  readonly leave: () => void;

  constructor(request: FetchRequest | undefined, leave: () => void) {
    this.request = request;
    this.leave = leave;
    this.isShared.promise.catch(() => {}); // a reader that has left asks no more
  }

  /** The reader gets `err` instead of further bytes. */
  fail(err: unknown): void {
    this.failure = err;
    this.isShared.reject(err);
  }

  breakOff(err: unknown): void {
    this.fail(err);
    this.brokenOff.abort(err);
    this.leave();
  }
}

interface Span {
  readonly start: number;
  end: number;
  readonly source: SourceName;
  readonly isTrusted: boolean;
  readonly fetchedFor: object;
}

/** Where the bytes of one fetch came from, and for whom they were fetched: for everyone else they come from the store. */
export class ByteOrigins {
  readonly #spans: Span[] = [];
  #endBytes = 0;

  /**
   * The bytes up to `end` came from `source`; what is already noted stays as it is.
   *
   * @param isTrusted - Whether they can be believed without the rest of the blob.
   */
  note(end: number, source: SourceName, isTrusted: boolean, fetchedFor: object): void {
    if (end <= this.#endBytes) return;
    const last = this.#spans.at(-1);
    if (last?.source === source && last.isTrusted === isTrusted && last.fetchedFor === fetchedFor) last.end = end;
    else this.#spans.push({ start: this.#endBytes, end, source, isTrusted, fetchedFor });
    this.#endBytes = end;
  }

  /** The first byte from `position` on that cannot be believed yet; what has not come is taken to be like the last. */
  untrustedFrom(position: number): number {
    const first = this.#spans.find(({ end, isTrusted }) => end > position && !isTrusted);
    if (first) return Math.max(position, first.start);
    if (position < this.#endBytes) return Number.POSITIVE_INFINITY;
    return this.#spans.at(-1)?.isTrusted ? Number.POSITIVE_INFINITY : position;
  }

  /** `bytes`, which begin at the reader's position, as it is to see them; the position follows what it takes. */
  *labelled(bytes: Uint8Array, reader: { position: number }): Generator<SourcedChunk> {
    const start = reader.position;
    const end = start + bytes.length;
    while (reader.position < end) {
      const at = reader.position;
      const span = this.#spans.find((candidate) => candidate.end > at);
      const isOwn = span?.fetchedFor === reader;
      // All that others had fetched looks the same to the reader: no need to cut it.
      const until = isOwn ? Math.min(end, span!.end) : Math.min(end, this.#nextOwn(at, reader));
      yield { source: isOwn ? span!.source : "store", bytes: bytes.subarray(at - start, until - start) };
      reader.position = until;
    }
  }

  #nextOwn(from: number, reader: object): number {
    return this.#spans.find(({ start, fetchedFor }) => start > from && fetchedFor === reader)?.start ?? Infinity;
  }
}
