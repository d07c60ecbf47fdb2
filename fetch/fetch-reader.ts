/**
 * Who reads a fetch, and for whom each of its bytes was fetched: for everyone else they come from the store.
 */
import { IntervalSet } from "#base/intervals.ts";
import type { SourcedChunk } from "#blob/fallback.ts";
import type { SourceName } from "#blob/source.ts";
import type { WindowBudget } from "./broadcast-window.ts";
import type { FetchRequest } from "./fetcher.ts";

/** How a fetch treats its readers. */
export interface SharedFetchOptions {
  /** How long the others wait for a reader that holds them up after the disk has failed. @defaultValue 15000 */
  readonly slowReaderBudgetMs?: number | undefined;
  /** Memory for blobs that have no file. Without it each of their readers fetches for itself. */
  readonly windows?: WindowBudget | undefined;
  /** A fetch that all readers have left continues for this long, in milliseconds. @defaultValue 10000 */
  readonly lingerMs?: number | undefined;
}

/** One of the readers, as the in-flight blob sees it. */
export interface InFlightReader extends OriginReader {
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

/** What is farther ahead of a reader is not fetched for it yet, while other blobs are waited for. */
const nearBytes = 1024 * 1024;

/** One reader of a shared fetch, from joining to leaving. */
export class FetchReader implements InFlightReader {
  /** The blob as it asked for it, and where it may be read with its own rights. */
  readonly request: FetchRequest;
  /** Once the size is known; false when the blob cannot be shared and the reader is on its own. */
  readonly isShared = Promise.withResolvers<boolean>();
  /** Fires when the others wait no longer for this reader: what it is being sent is to be broken off at once. */
  readonly brokenOff = new AbortController();
  position = 0;
  end = Number.POSITIVE_INFINITY;
  hasLeft = false;
  readonly isPart: boolean;
  /** Its own sources have been asked. */
  hasLed = false;
  /** What its own sources failed with. */
  ownFailure: unknown;
  /** The end of it, before all bytes were there. */
  failure: unknown;
  /** Give up what is left; harmless when it has left already. */
  readonly leave: () => void;

  constructor(request: FetchRequest, leave: () => void) {
    this.request = request;
    this.isPart = request.range !== undefined;
    this.leave = leave;
    this.isShared.promise.catch(() => {}); // a reader that has left asks no more
  }

  /** Whether someone waits for the byte at `position`, or will soon. */
  isNear(position: number): boolean {
    return !this.request.isAhead && position < this.end && position <= this.position + nearBytes;
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

/** Those who read one fetch. */
export class FetchReaders extends Set<FetchReader> {
  readonly #onLeave: () => void;

  /** @param onLeave - Called when one has left. */
  constructor(onLeave: () => void) {
    super();
    this.#onLeave = onLeave;
  }

  /** One more, until its signal fires or it leaves. */
  join(request: FetchRequest, signal: AbortSignal): FetchReader {
    const onAbort = () => {
      reader.isShared.reject(signal.reason);
      reader.leave();
    };
    const reader: FetchReader = new FetchReader(request, () => {
      signal.removeEventListener("abort", onAbort);
      if (!this.delete(reader)) return;
      reader.hasLeft = true;
      this.#onLeave();
    });
    this.add(reader);
    signal.addEventListener("abort", onAbort, { once: true });
    return reader;
  }

  /** Whether any of them waits for the byte at `position`, or will soon. */
  areNear(position: number): boolean {
    for (const reader of this) if (reader.isNear(position)) return true;
    return false;
  }

  /** Without a file no one can follow: everyone else reads on their own. */
  dismissAllBut(leader: FetchReader): void {
    for (const reader of [...this].filter((other) => other !== leader)) {
      reader.isShared.resolve(false);
      reader.leave();
    }
  }
}

/** A reader, as far as it matters whose the bytes are. */
export interface OriginReader {
  position: number;
  readonly hasLeft: boolean;
  /** It wants a range, as do others for the same puller: containerd reads a blob with many requests. */
  readonly isPart: boolean;
}

interface Span {
  readonly start: number;
  end: number;
  readonly source: SourceName;
  readonly isTrusted: boolean;
  readonly fetchedFor: OriginReader;
}

/**
 * Where the bytes of one fetch came from, and for whom they were fetched: for everyone else they come from the store. What
 * comes for a range, or for one that has left, is fetched for the first to take it.
 */
export class ByteOrigins {
  readonly #spans: Span[] = [];
  /** What has been taken by those who were the first to. */
  #taken: IntervalSet | undefined;
  #endBytes = 0;

  /**
   * The bytes up to `end` came from `source`; what is already noted stays as it is.
   *
   * @param isTrusted - Whether they can be believed without the rest of the blob.
   */
  note(end: number, source: SourceName, isTrusted: boolean, fetchedFor: OriginReader): void {
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
  *labelled(bytes: Uint8Array, reader: OriginReader): Generator<SourcedChunk> {
    const start = reader.position;
    const end = start + bytes.length;
    while (reader.position < end) {
      const at = reader.position;
      const span = this.#spans.find((candidate) => candidate.end > at);
      // Of what is fetched for one reader alone its position says what it has taken.
      const isOwn = span?.fetchedFor === reader && !reader.isPart;
      const { isFirst, until } = isOwn ? { isFirst: true, until: span.end } : this.#takeFirst(span, at, end, reader);
      const piece = bytes.subarray(at - start, Math.min(end, until) - start);
      yield { source: span && isFirst ? span.source : "store", bytes: piece };
      reader.position = at + piece.length;
    }
  }

  /** Of what several may take: whether this one is the first to, which is noted, and until where that is so. */
  #takeFirst(span: Span | undefined, at: number, end: number, reader: OriginReader) {
    this.#taken ??= new IntervalSet();
    const takenUntil = this.#taken.endFrom(at);
    const { fetchedFor } = span ?? {};
    const isForAnyPart = fetchedFor?.isPart === true && reader.isPart;
    const isOrphaned = fetchedFor?.hasLeft === true && at >= fetchedFor.position;
    const isFirst = (isForAnyPart || isOrphaned) && takenUntil === at;
    const until = Math.min(end, span?.end ?? end, takenUntil > at ? takenUntil : this.#taken.nextFrom(at));
    if (isFirst) this.#taken.add(at, until);
    return { isFirst, until };
  }
}
