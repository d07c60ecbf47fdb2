/**
 * One blob of the registry as the producer sees it: pages in memory, read ahead of whoever reads in order.
 * Reads of the same pages are one read; a failed read leaves nothing behind, so the next Interest tries again.
 */

import type { BlobRef } from "#blob/source.ts";
import { type Page, type PageCache, pageBytes } from "./page-cache.ts";
import { aheadOf, PageStream } from "./page-stream.ts";
import { type RangeRead, type RangeReader, revalidateAfterMs } from "./range-reader.ts";
import type { ReadGate } from "./read-gate.ts";

/** Pages in one read of the registry at most: 64 MiB. */
const maxStreamPages = 256;
/** A read of the registry that makes no progress for this long is broken off. */
const readTimeoutMs = 30_000;

/** What all blobs of a server share. */
export interface BlobPagesContext {
  readonly reader: RangeReader;
  readonly cache: PageCache;
  readonly gate: ReadGate;
  /** Ends every read when the server stops. */
  readonly signal: AbortSignal;
  /** Bytes that came from the registry, for the metrics. */
  onRead(bytes: number): void;
  onReadFailed(blob: BlobRef, reason: Error): void;
}

/** Pages of one blob. */
export class PagedBlob {
  readonly sizeBytes: number;
  private readonly ref: BlobRef;
  private readonly context: BlobPagesContext;
  private readonly pages = new Map<number, Page>();
  private readonly streams: PageStream[] = [];
  private lastTouched = -1;
  private readonly openedAtMs = performance.now();
  private isGone = false;

  private constructor(ref: BlobRef, sizeBytes: number, context: BlobPagesContext) {
    this.ref = ref;
    this.sizeBytes = sizeBytes;
    this.context = context;
  }

  /**
   * Ask the registry for the beginning of a blob: one round trip gives its size and the first pages.
   * @returns undefined when there is no such blob to publish.
   */
  static async open(ref: BlobRef, context: BlobPagesContext): Promise<PagedBlob | undefined> {
    await context.gate.acquire();
    let read: RangeRead | undefined;
    const abort = new AbortController();
    try {
      const signal = AbortSignal.any([context.signal, abort.signal]);
      read = await context.reader.read(ref, 0, maxStreamPages * pageBytes, signal);
    } catch (err: unknown) {
      context.onReadFailed(ref, err as Error);
      throw err;
    } finally {
      if (read === undefined) context.gate.release();
    }
    if (read === undefined) return undefined;
    const blob = new PagedBlob(ref, read.sizeBytes, context);
    const stream = new PageStream(0, Math.min(maxStreamPages, blob.pageCount), undefined, () => blob.ahead);
    blob.streams.push(stream);
    void blob.fill(stream, read, abort).finally(() => context.gate.release());
    return blob;
  }

  /** False when the registry has said that the blob is gone, or should be asked again: then it is opened anew. */
  get isCurrent(): boolean {
    return !this.isGone && performance.now() - this.openedAtMs < revalidateAfterMs;
  }

  /** The page that holds byte `at`, if its bytes up to `end` are there; reads ahead of it. */
  pageAt(at: number, end: number): Page | undefined {
    const index = Math.floor(at / pageBytes);
    const page = this.pages.get(index);
    // Interests of one reader arrive slightly out of order: the page just before is no news.
    const isNews = index !== this.lastTouched && index !== this.lastTouched - 1;
    if (isNews || page === undefined) this.readAhead(index, page);
    return page !== undefined && end - index * pageBytes <= page.filledBytes ? page : undefined;
  }

  /** Call `done` when the bytes of the page of `at` up to `end` are there, or cannot be had now. */
  whenFilled(at: number, end: number, done: () => void): void {
    const index = Math.floor(at / pageBytes);
    this.readAhead(index, this.pages.get(index));
    const page = this.pages.get(index) ?? this.expectedPage(index);
    const untilBytes = end - index * pageBytes;
    if (page === undefined || untilBytes <= page.filledBytes) done();
    else page.waiting.push({ untilBytes, done });
  }

  private get pageCount(): number {
    return Math.max(1, Math.ceil(this.sizeBytes / pageBytes));
  }

  private get ahead(): number {
    return aheadOf(this.context.cache.capacityPages, this.context.gate.inUse);
  }

  private streamOf(index: number): PageStream | undefined {
    return this.streams.find((stream) => stream.covers(index));
  }

  /** A page that is not there but will come, to wait at. */
  private expectedPage(index: number): Page | undefined {
    return this.streamOf(index) && this.addPage(index);
  }

  /** See to it that a stream is under way from the page in use, or from where the pages behind it end. */
  private readAhead(index: number, page: Page | undefined): void {
    this.lastTouched = index;
    if (this.isGone) return;
    const horizon = Math.min(this.pageCount, index + this.ahead);
    let next = index;
    // Pages that are soon to be read must outlive those that have been read.
    for (let ahead = page; ahead?.isFull && next < horizon; ahead = this.pages.get(next)) {
      this.context.cache.touch(ahead);
      next++;
    }
    const stream = this.streamOf(next) ?? this.streamOf(index);
    if (stream) stream.want(index);
    else if (next < horizon && !this.context.gate.isCrowded) void this.startStream(next); // crowded: Interests come again
  }

  private async startStream(first: number): Promise<void> {
    let end = first + 1;
    while (end < Math.min(this.pageCount, first + maxStreamPages) && !this.pages.has(end)) end++;
    const stream = new PageStream(first, end, first, () => this.ahead);
    this.streams.push(stream);
    const { gate, reader, signal } = this.context;
    const abort = new AbortController();
    await gate.acquire();
    try {
      const both = AbortSignal.any([signal, abort.signal]);
      const read = await reader.read(this.ref, first * pageBytes, end * pageBytes, both);
      if (read?.sizeBytes !== this.sizeBytes) {
        read?.body.cancel();
        this.forgetAll();
        throw new Error("the registry no longer has this blob");
      }
      await this.fill(stream, read, abort);
    } catch (err: unknown) {
      this.finish(stream, err as Error);
    } finally {
      gate.release();
    }
  }

  private addPage(index: number): Page {
    const sizeBytes = Math.min(pageBytes, this.sizeBytes - index * pageBytes);
    const page = this.context.cache.add(sizeBytes, () => this.pages.delete(index));
    this.pages.set(index, page);
    return page;
  }

  /** The blob is not to be read here any more: also what is in memory of it goes, so that everybody looks elsewhere. */
  private forgetAll(): void {
    this.isGone = true;
    for (const page of [...this.pages.values()]) if (page.isFull) this.context.cache.remove(page);
  }

  /** Run a stream to its end, to where another read has been already, or until nobody wants more of it. */
  private async fill(stream: PageStream, read: RangeRead, abort: AbortController): Promise<void> {
    if (!this.claim(stream)) {
      read.body.cancel();
      return this.finish(stream, undefined);
    }
    const timer = setTimeout(() => abort.abort(new Error("the registry sends nothing")), readTimeoutMs);
    let isEnough = false;
    const enough = (more: boolean) => {
      isEnough = !more || !this.claim(stream);
      timer.refresh();
      return !isEnough;
    };
    try {
      await read.body.pourInto({
        space: () => stream.filling!.rest,
        filled: (bytes) => {
          this.context.onRead(bytes);
          this.took(stream, bytes);
          const more = stream.mayGoOn(this.context.gate);
          return typeof more === "boolean" ? enough(more) : more.then(enough);
        },
      });
      const isShort = !isEnough && stream.next < stream.end && this.sizeBytes > 0;
      this.finish(stream, isShort ? new Error("the registry's answer was too short") : undefined);
    } catch (err: unknown) {
      this.finish(stream, err as Error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Take the page that is next, unless another read has been there. */
  private claim(stream: PageStream): boolean {
    const page = this.pages.get(stream.next) ?? this.addPage(stream.next);
    if (page !== stream.filling && (page.isClaimed || page.isFull)) return false;
    page.isClaimed = true;
    stream.filling = page;
    return true;
  }

  private took(stream: PageStream, bytes: number): void {
    const page = stream.filling!;
    page.filledBytes += bytes;
    if (page.isFull) stream.next++;
    page.wake(false);
  }

  /** Take a stream away, and with it the pages that it alone would have filled: whoever waits there asks again. */
  private finish(stream: PageStream, reason: Error | undefined): void {
    const at = this.streams.indexOf(stream);
    if (at < 0) return;
    this.streams.splice(at, 1);
    for (const [index, page] of [...this.pages]) {
      const isLost = page === stream.filling || (page.filledBytes === 0 && this.streamOf(index) === undefined);
      if (page.isFull || !isLost) continue;
      this.context.cache.remove(page);
      page.wake(true);
    }
    if (reason && !this.context.signal.aborted) this.context.onReadFailed(this.ref, reason);
  }
}
