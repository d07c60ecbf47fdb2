/**
 * One blob of the registry as the producer sees it: pages in memory, read ahead of those who read in order.
 * Reads of the same pages are one read; a failed read leaves nothing behind, so the next Interest tries again.
 */
import type { BlobRef } from "#blob/source.ts";
import { isFull, type Page, type PageCache, PageStream, pageBytes, type ReadLimit, wake } from "./pages.ts";
import { NotPublishable, type RangeRead, type RangeReader, revalidateAfterMs } from "./range-reader.ts";

/** Pages in one read of the registry at most: 64 MiB. */
const maxStreamPages = 256;
/** A read of the registry that makes no progress for this long is broken off. */
const readTimeoutMs = 30_000;

/** What all blobs of a server share. */
export interface BlobPagesContext {
  readonly reader: RangeReader;
  readonly cache: PageCache;
  readonly limit: ReadLimit;
  /** Ends every read when the server stops. */
  readonly signal: AbortSignal;
  /** Counts bytes that came from the registry. */
  readonly readBytes: { inc(bytes: number): void };
  onReadFailed(blob: BlobRef, reason: Error): void;
}

/** Pages of one blob. */
export class PagedBlob {
  readonly sizeBytes: number;
  readonly #ref: BlobRef;
  readonly #context: BlobPagesContext;
  readonly #pageCount: number;
  readonly #pages = new Map<number, Page>();
  readonly #streams: PageStream[] = [];
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
    const { limit, reader, signal } = context;
    await limit.acquire();
    const abort = new AbortController();
    let read: RangeRead | undefined;
    try {
      read = await reader.read(ref, 0, maxStreamPages * pageBytes, AbortSignal.any([signal, abort.signal]));
    } catch (err: unknown) {
      context.onReadFailed(ref, err as Error);
      if (!(err instanceof NotPublishable)) throw err;
    } finally {
      if (read === undefined) limit.release();
    }
    if (read === undefined) return undefined;
    const blob = new PagedBlob(ref, read.sizeBytes, context);
    const stream = new PageStream(0, Math.min(maxStreamPages, blob.#pageCount), undefined, limit);
    blob.#streams.push(stream);
    void blob.#fill(stream, read, abort);
    return blob;
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
    if (isNews || page === undefined) this.#readAhead(index, page);
    return page !== undefined && end - index * pageBytes <= page.filledBytes ? page : undefined;
  }

  /** Call `done` when the bytes of the page of `at` up to `end` are there, or are not available now. */
  whenFilled(at: number, end: number, done: () => void): void {
    const index = Math.floor(at / pageBytes);
    this.#readAhead(index, this.#pages.get(index));
    // A page that is not there but will come is one to wait at.
    const page = this.#pages.get(index) ?? (this.#streamOf(index) && this.#addPage(index));
    const untilBytes = end - index * pageBytes;
    if (page === undefined || untilBytes <= page.filledBytes) done();
    else page.waiting.push({ untilBytes, done });
  }

  /** The stream out of which page `index` will come soon, so that waiting is better than asking for it. */
  #streamOf(index: number): PageStream | undefined {
    const { aheadPages } = this.#context.limit;
    for (const stream of this.#streams) {
      if (index >= stream.next && index < stream.end && index <= stream.next + aheadPages) return stream;
    }
    return undefined;
  }

  /** See to it that a stream is under way from the page in use, or from where the pages behind it end. */
  #readAhead(index: number, page: Page | undefined): void {
    this.#lastTouched = index;
    if (this.#isGone) return;
    const { cache, limit } = this.#context;
    const horizon = Math.min(this.#pageCount, index + limit.aheadPages);
    let next = index;
    // Pages that are soon to be read must outlive those that have been read.
    for (let ahead = page; ahead && isFull(ahead) && next < horizon; ahead = this.#pages.get(next)) {
      cache.touch(ahead);
      next++;
    }
    const stream = this.#streamOf(next) ?? this.#streamOf(index);
    if (stream) stream.want(index);
    else if (next < horizon && !limit.isCrowded) void this.#startStream(next); // crowded: Interests come again
  }

  async #startStream(first: number): Promise<void> {
    let end = first + 1;
    while (end < Math.min(this.#pageCount, first + maxStreamPages) && !this.#pages.has(end)) end++;
    const { limit, reader, signal } = this.#context;
    const stream = new PageStream(first, end, first, limit);
    this.#streams.push(stream);
    const abort = new AbortController();
    await limit.acquire();
    let read: RangeRead | undefined;
    try {
      const both = AbortSignal.any([signal, abort.signal]);
      read = await reader.read(this.#ref, first * pageBytes, end * pageBytes, both);
      if (read?.sizeBytes !== this.sizeBytes) {
        read?.body.cancel();
        this.#forgetAll();
        throw new Error("the registry no longer has this blob");
      }
    } catch (err: unknown) {
      this.#finish(stream, err as Error);
      limit.release();
      return;
    }
    await this.#fill(stream, read, abort);
  }

  #addPage(index: number): Page {
    const sizeBytes = Math.min(pageBytes, this.sizeBytes - index * pageBytes);
    const page = this.#context.cache.add(sizeBytes, () => this.#pages.delete(index));
    this.#pages.set(index, page);
    return page;
  }

  /** The blob is not to be read here any more: what is in memory of it goes, so that Interests look elsewhere. */
  #forgetAll(): void {
    this.#isGone = true;
    for (const page of [...this.#pages.values()]) if (isFull(page)) this.#context.cache.remove(page);
  }

  /** Run a stream to its end, to a page of another read, or until no more is wanted; then give the permit back. */
  async #fill(stream: PageStream, { body }: RangeRead, abort: AbortController): Promise<void> {
    const timer = setTimeout(() => abort.abort(new Error("the registry sends nothing")), readTimeoutMs);
    let isEnough = !this.#claim(stream);
    const wants = (more: boolean) => {
      isEnough = !more || !this.#claim(stream);
      timer.refresh();
      return !isEnough;
    };
    try {
      if (isEnough) body.cancel();
      else {
        await body.pourInto({
          space: () => stream.filling!.buf.subarray(stream.filling!.filledBytes),
          filled: (bytes) => {
            const page = stream.filling!;
            this.#context.readBytes.inc(bytes);
            page.filledBytes += bytes;
            if (isFull(page)) stream.next++;
            wake(page, false);
            const more = stream.mayContinue();
            return typeof more === "boolean" ? wants(more) : more.then(wants);
          },
        });
      }
      const isShort = !isEnough && stream.next < stream.end && this.sizeBytes > 0;
      this.#finish(stream, isShort ? new Error("the registry's answer was too short") : undefined);
    } catch (err: unknown) {
      this.#finish(stream, err as Error);
    } finally {
      clearTimeout(timer);
      this.#context.limit.release();
    }
  }

  /** Take the page that is next, unless another read has been there. */
  #claim(stream: PageStream): boolean {
    const page = this.#pages.get(stream.next) ?? this.#addPage(stream.next);
    if (page !== stream.filling && (page.isClaimed || isFull(page))) return false;
    page.isClaimed = true;
    stream.filling = page;
    return true;
  }

  /** Take a stream away, and with it the pages that it alone would have filled: those who wait there ask again. */
  #finish(stream: PageStream, reason: Error | undefined): void {
    const at = this.#streams.indexOf(stream);
    if (at < 0) return;
    this.#streams.splice(at, 1);
    for (const [index, page] of [...this.#pages]) {
      const isLost = page === stream.filling || (page.filledBytes === 0 && this.#streamOf(index) === undefined);
      if (isFull(page) || !isLost) continue;
      this.#context.cache.remove(page);
      wake(page, true);
    }
    if (reason && !this.#context.signal.aborted) this.#context.onReadFailed(this.#ref, reason);
  }
}
