/**
 * One blob of the registry as the producer sees it: pages in memory, read ahead of those who read in order.
 * Reads of the same pages are one read; a failed read leaves nothing behind, so the next Interest tries again.
 */
import type { BlobRef } from "#blob/source.ts";
import type { Puller, SegmentWaiter } from "#ndn/producer.ts";
import { isFull, type Page, pageBytes } from "./page-memory.ts";
import { aheadPages, minRunPages, PageStream } from "./page-stream.ts";
import { PageWaiters } from "./page-waiters.ts";
import { NotPublishable, revalidateAfterMs } from "./range-reader.ts";
import { type BlobPagesContext, type OpenedRead, openRead, pour } from "./registry-read.ts";

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
  #lastTouched = -1;
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
    void this.#run(this.#addStream(0, end, longRun, end - 1), opened);
  }

  /** False when the registry has said that the blob is gone, or should be asked again: then it is opened anew. */
  get isCurrent(): boolean {
    return !this.#isGone && performance.now() - this.#openedAtMs < revalidateAfterMs;
  }

  /** The page that holds byte `at`, if its bytes up to `end` are there; reads ahead of it. */
  pageAt(at: number, end: number): Page | undefined {
    const index = Math.floor(at / pageBytes);
    const page = this.#pages.get(index);
    // Interests of one reader arrive slightly out of order: the page just before is no news.
    const isNews = index !== this.#lastTouched && index !== this.#lastTouched - 1;
    if (page === undefined || end - index * pageBytes > page.filledBytes) return undefined; // to be waited for
    if (isNews) this.#readAhead(index);
    return page;
  }

  /** So many bytes of the page have been sent. */
  sent(page: Page, bytes: number): void {
    page.sentBytes += bytes;
    if (page.sentBytes >= page.buf.length) this.#context.memory.sent(page);
  }

  /** Have `waiter` told when the bytes of the page of `at` up to `end` are there, or are not available now. */
  whenFilled(at: number, end: number, waiter: SegmentWaiter): void {
    const index = Math.floor(at / pageBytes);
    this.#readAhead(index, waiter.puller);
    const untilBytes = end - index * pageBytes;
    const isThere = untilBytes <= (this.#pages.get(index)?.filledBytes ?? 0);
    if (isThere || this.#streamOf(index) === undefined) {
      waiter.done();
      return;
    }
    this.#waiters.add(index, untilBytes, waiter);
    this.#context.memory.look(); // its stream may have been read ahead only
  }

  #streamOf(index: number): PageStream | undefined {
    return this.#streams.find((stream) => stream.covers(index));
  }

  /** How many pages were read in order before page `index`, and are not forgotten; 0 where someone begins to read. */
  #runBefore(index: number): number {
    if (index === 0) return longRun;
    const page = this.#pages.get(index - 1);
    if (page) return page.run + 1;
    return this.#streams.find((stream) => stream.end === index)?.runAt(index) ?? 0;
  }

  /** See to it that what is behind the page in use, and is not there, is on its way. */
  #readAhead(index: number, puller?: Puller): void {
    this.#lastTouched = index;
    if (this.#isGone) return;
    const { memory, limit } = this.#context;
    const [past, page] = [this.#pages.get(index - 2), this.#pages.get(index)];
    if (past) memory.sent(past);
    if (page) memory.touch(page);
    const horizon = index + 1 + aheadPages(memory, limit, this.#runBefore(index));
    let next = index;
    while (next < Math.min(horizon, this.#pageCount)) {
      const stream = this.#streamOf(next);
      if (stream) {
        stream.want(index, puller);
        next = stream.end;
      } else if (this.#pages.has(next)) next++;
      else {
        this.#start(next, index, puller);
        break;
      }
    }
  }

  /** Begin to read at page `first`, for one who has come to page `wanted`. */
  #start(first: number, wanted: number, puller: Puller | undefined): void {
    if (this.#context.limit.isCrowded || this.#streams.length >= maxStreams) return; // Interests come again
    const run = this.#runBefore(first);
    let end = first + 1;
    while (end < Math.min(this.#pageCount, first + maxStreamPages) && !this.#pages.has(end)) end++;
    for (const stream of this.#streams) {
      if (stream.next > first) end = Math.min(end, stream.next);
      else stream.end = Math.min(stream.end, first);
    }
    const stream = this.#addStream(first, end, run, wanted);
    if (puller) stream.puller = puller;
    void this.#run(stream);
  }

  #addStream(first: number, end: number, run: number, wanted: number): PageStream {
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
    return stream;
  }

  #addPage(index: number, isWanted: boolean, run: number): Page | undefined {
    const sizeBytes = Math.min(pageBytes, this.sizeBytes - index * pageBytes);
    const page = this.#context.memory.take(sizeBytes, isWanted, run, () => this.#pages.delete(index));
    if (page) this.#pages.set(index, page);
    return page;
  }

  /** The blob is not to be read here any more: what is in memory of it goes, so that Interests look elsewhere. */
  #forgetAll(): void {
    this.#isGone = true;
    for (const page of [...this.#pages.values()]) if (isFull(page)) this.#context.memory.remove(page);
  }

  /** Read a stream to its end; one that is closed while it pauses, as proxies do, goes on from the same byte. */
  async #run(stream: PageStream, opened?: OpenedRead): Promise<void> {
    const { limit, signal } = this.#context;
    let failure: Error | undefined;
    try {
      if (!opened) await limit.acquire(signal);
      try {
        let [first, reopenedAt] = [opened, -1];
        for (; await stream.advance(); first = undefined) {
          const abort = first?.abort ?? new AbortController();
          const reason = await pour(stream, () => first ?? this.#ask(stream, abort), abort, this.#filled);
          signal.throwIfAborted();
          if (reason === undefined) continue;
          const isInVain = stream.next === reopenedAt || !(stream.hasPaused || stream.isWanted());
          if (isInVain) throw reason;
          if (!stream.hasPaused) this.#context.onReadFailed(this.#ref, reason);
          reopenedAt = stream.next;
        }
        first?.body.cancel();
      } finally {
        limit.release();
      }
    } catch (err: unknown) {
      failure = err as Error;
    }
    this.#finish(stream, failure);
  }

  readonly #filled = (stream: PageStream, bytes: number): void => {
    const index = stream.next;
    this.#context.readBytes.inc(bytes);
    this.#waiters.tell(index, stream.filled(bytes));
  };

  /** Ask for what a stream reads next: much where all of it will be wanted, else no more than is. */
  async #ask(stream: PageStream, abort: AbortController): Promise<OpenedRead> {
    const { next, position } = stream;
    stream.hasPaused = false;
    const run = stream.runAt(next);
    const isLikely = run >= minRunPages && this.#context.limit.waiting === 0;
    stream.end = Math.min(stream.end, next + Math.max(1, stream.wanted + 1 - next, isLikely ? run : 0));
    const read = await openRead(this.#context, this.#ref, position, stream.end * pageBytes, abort);
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
