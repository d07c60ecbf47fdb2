/**
 * One blob of the registry as the producer sees it: pages in memory, read ahead of those who read in order.
 * Reads of the same pages are one read; a failed read leaves nothing behind, so the next Interest tries again.
 */
import type { BlobRef } from "#blob/source.ts";
import type { Puller, SegmentWaiter } from "#ndn/producer.ts";
import { isFull, type Page, pageBytes } from "./page-memory.ts";
import { aheadPages, PageStream } from "./page-stream.ts";
import { PageWaiters } from "./page-waiters.ts";
import { NotPublishable, revalidateAfterMs } from "./range-reader.ts";
import { type BlobPagesContext, fillStream, type OpenedRead, openRead } from "./registry-read.ts";

/** Pages in one read of the registry at most: 64 MiB. */
const maxStreamPages = 512;
/** The first read of a blob, which tells its size: most who ask for that want no more than the beginning at once. */
const firstPages = 4;
/** Reads of one blob at a time: more places than that are not read at once. */
const maxStreams = 32;
/** Who reads from the first byte on will want all of it. */
const longRun = maxStreamPages;

/** Pages of one blob. */
export class PagedBlob {
  readonly sizeBytes: number;
  readonly #ref: BlobRef;
  readonly #context: BlobPagesContext;
  readonly #pageCount: number;
  readonly #pages = new Map<number, Page>();
  readonly #streams: PageStream[] = [];
  readonly #waiters = new PageWaiters();
  /** Pages of digest lists that are being made. */
  readonly #hashing = new Set<(index: number) => boolean>();
  #lastTouched = -1;
  #isReadFromStart = false;
  readonly #openedAtMs = performance.now();
  #isGone = false;

  private constructor(ref: BlobRef, sizeBytes: number, context: BlobPagesContext) {
    this.#ref = ref;
    this.sizeBytes = sizeBytes;
    this.#context = context;
    this.#pageCount = Math.max(1, Math.ceil(sizeBytes / pageBytes));
  }

  /**
   * Ask the registry for the beginning of a blob: one round trip gives its size and the first pages.
   * @returns undefined when there is no such blob to publish.
   */
  static async open(ref: BlobRef, context: BlobPagesContext): Promise<PagedBlob | undefined> {
    const { limit, signal } = context;
    await limit.acquire(signal);
    try {
      const opened = await openRead(context, ref, 0, firstPages * pageBytes);
      const blob = opened && new PagedBlob(ref, opened.sizeBytes, context);
      if (opened && blob) blob.#begin(opened);
      else limit.release();
      return blob;
    } catch (err: unknown) {
      limit.release();
      context.onReadFailed(ref, err as Error);
      if (err instanceof NotPublishable) return undefined;
      throw err;
    }
  }

  /** With the read that told the size. */
  #begin(opened: OpenedRead): void {
    if (this.sizeBytes === 0) this.#context.memory.filled(this.#addPage(0, true, longRun)!);
    const end = this.sizeBytes === 0 ? 0 : Math.min(firstPages, this.#pageCount);
    this.#addStream(0, end, 0, end - 1, opened);
  }

  /** False when the registry has said that the blob is gone, or should be asked again: then it is opened anew. */
  get isCurrent(): boolean {
    return !this.#isGone && performance.now() - this.#openedAtMs < revalidateAfterMs;
  }

  /** The page that holds byte `at`, if its bytes up to `end` are there; reads ahead of it. */
  pageAt(at: number, end: number): Page | undefined {
    const index = Math.floor(at / pageBytes);
    const page = this.peekAt(at, end);
    // Interests of one reader arrive slightly out of order: the page just before is no news.
    if (page && index !== this.#lastTouched && index !== this.#lastTouched - 1) this.#use(index, page);
    return page;
  }

  /** As `pageAt`, for one who reads nothing else. */
  peekAt(at: number, end: number): Page | undefined {
    const index = Math.floor(at / pageBytes);
    const page = this.#pages.get(index);
    return page && end - index * pageBytes <= page.filledBytes ? page : undefined;
  }

  /** So many bytes of the page have been sent. */
  sent(page: Page, bytes: number): void {
    page.sentBytes += bytes;
    if (page.sentBytes >= page.buf.length) this.#context.memory.sent(page);
  }

  /**
   * Have `waiter` told when the bytes of the page of `at` up to `end` are there, or are not available now.
   * @param wantedEnd - What is wanted next, up to here: it is asked of the registry at the same time.
   */
  whenFilled(at: number, end: number, waiter: SegmentWaiter, wantedEnd: number = end): void {
    const index = Math.floor(at / pageBytes);
    this.#readAhead(index, waiter.puller, Math.ceil(wantedEnd / pageBytes) - 1);
    const untilBytes = end - index * pageBytes;
    const isThere = untilBytes <= (this.#pages.get(index)?.filledBytes ?? 0);
    if (isThere || this.#streamOf(index) === undefined) {
      waiter.done();
      return;
    }
    this.#waiters.add(index, untilBytes, waiter);
    this.#context.memory.look(); // its stream may have been read ahead only
  }

  /** All of `[start, end)` is about to be hashed, page by page: what is sent before that stays. @returns ends it */
  startHashing(start: number, end: number): () => void {
    const has = (index: number) => start < (index + 1) * pageBytes && index * pageBytes < end;
    this.#hashing.add(has);
    for (const [index, page] of this.#pages) if (has(index)) page.isToHash = true;
    return () => {
      this.#hashing.delete(has);
      for (const [index, page] of this.#pages) if (has(index) && page.isToHash) this.hashed(page);
    };
  }

  /** All of the page is hashed. */
  hashed(page: Page): void {
    page.isToHash = false;
    this.#context.memory.sent(page);
  }

  #streamOf(index: number): PageStream | undefined {
    return this.#streams.find((stream) => stream.covers(index));
  }

  /** How many pages were read in order before page `index`, and are not forgotten; 0 where someone begins to read. */
  #runBefore(index: number): number {
    if (index <= firstPages && this.#isReadFromStart) return longRun;
    const page = this.#pages.get(index - 1);
    if (page) return page.run + 1;
    return this.#streams.find((stream) => stream.end === index)?.runAt(index) ?? 0;
  }

  /** Who reads in order has come to page `index`. */
  #use(index: number, page: Page): void {
    const past = this.#pages.get(index - 2);
    this.#lastTouched = index;
    if (past) this.#context.memory.sent(past);
    this.#context.memory.touch(page);
    this.#readAhead(index);
  }

  /** See to it that what is wanted, or behind the page in use, and is not there, is on its way. */
  #readAhead(index: number, puller?: Puller, wanted: number = index): void {
    if (index === 0) this.#isReadFromStart = true;
    if (this.#isGone) return;
    const { memory, limit } = this.#context;
    const horizon = Math.max(wanted + 1, index + 1 + aheadPages(memory, limit, this.#runBefore(index)));
    let next = index;
    while (next < Math.min(horizon, this.#pageCount)) {
      const stream = this.#streamOf(next);
      if (stream) {
        stream.want(wanted, puller);
        next = stream.end;
      } else if (this.#pages.has(next)) next++;
      else if (!this.#start(next, wanted, puller) || next > wanted) break;
    }
  }

  /** Begin to read at page `first`, for one who wants the pages up to `wanted`. @returns false when it cannot be now */
  #start(first: number, wanted: number, puller: Puller | undefined): boolean {
    if (this.#context.limit.isCrowded || this.#streams.length >= maxStreams) return false; // Interests come again
    const run = this.#runBefore(first);
    let end = first + 1;
    while (end < Math.min(this.#pageCount, first + maxStreamPages) && !this.#pages.has(end)) end++;
    for (const stream of this.#streams) {
      if (stream.next > first) end = Math.min(end, stream.next);
      else stream.end = Math.min(stream.end, first);
    }
    const following = this.#streams.find((stream) => stream.next === end && !stream.hasBegun);
    following?.beginAt(first, run);
    const stream = following ?? this.#addStream(first, end, run, wanted);
    stream.want(wanted, puller);
    return true;
  }

  #addStream(first: number, end: number, run: number, wanted: number, opened?: OpenedRead): PageStream {
    const { memory, limit } = this.#context;
    const stream = new PageStream({
      memory,
      limit,
      first,
      end,
      run,
      wanted,
      isAwaited: (from, to) => this.#waiters.isAwaited(from, to),
      addPage: (index, isWanted, runBefore) => this.#addPage(index, isWanted, runBefore),
    });
    this.#streams.push(stream);
    const ask = (abort: AbortController) => this.#ask(stream, abort);
    const ended = fillStream(stream, ask, this.#filled, this.#ref, this.#context, opened);
    void ended.then((reason) => this.#finish(stream, reason));
    return stream;
  }

  #addPage(index: number, isWanted: boolean, run: number): Page | undefined {
    const sizeBytes = Math.min(pageBytes, this.sizeBytes - index * pageBytes);
    const page = this.#context.memory.take(sizeBytes, isWanted, run, () => this.#pages.delete(index));
    if (page === undefined) return undefined;
    page.isToHash = [...this.#hashing].some((has) => has(index));
    this.#pages.set(index, page);
    return page;
  }

  /** The blob is not to be read here any more: what is in memory of it goes, so that Interests look elsewhere. */
  #forgetAll(): void {
    this.#isGone = true;
    for (const page of [...this.#pages.values()]) if (isFull(page)) this.#context.memory.remove(page);
  }

  readonly #filled = (stream: PageStream, bytes: number): void => {
    const index = stream.next;
    this.#context.readBytes.inc(bytes);
    this.#waiters.tell(index, stream.filled(bytes));
  };

  async #ask(stream: PageStream, abort: AbortController): Promise<OpenedRead> {
    const { start, end } = stream.planRead();
    const read = await openRead(this.#context, this.#ref, start, end, abort);
    if (read?.sizeBytes === this.sizeBytes) return read;
    read?.body.cancel();
    this.#forgetAll();
    throw new Error("the registry no longer has this blob");
  }

  /** Take a stream away. Those who wait for what it has not brought: another one brings it, unless this one has failed. */
  #finish(stream: PageStream, reason: Error | undefined): void {
    stream.close();
    this.#streams.splice(this.#streams.indexOf(stream), 1);
    if (stream.page) this.#context.memory.remove(stream.page);
    for (const index of this.#waiters.pages()) {
      const next = this.#waiters.firstOf(index);
      if (next && !reason && !this.#streamOf(index)) this.#readAhead(index, next.puller);
      if (!this.#streamOf(index)) this.#waiters.tell(index);
    }
    if (reason && !this.#context.signal.aborted) this.#context.onReadFailed(this.#ref, reason);
  }
}
