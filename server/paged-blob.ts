/**
 * One blob of the registry as the producer sees it: pages in memory, read ahead of whoever reads in order.
 * Reads of the same pages are one read; a failed read leaves nothing behind, so the next Interest tries again.
 */
import type { RangeRead, RangeReader } from "#blob/range-reader.ts";
import type { BlobRef } from "#blob/source.ts";
import { type Page, type PageCache, pageBytes } from "./page-cache.ts";
import type { ReadGate } from "./read-gate.ts";

/** Pages in one read of the registry: 4 MiB. */
const extentPages = 16;
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
  private lastTouched = -1;

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
    await context.gate.enter();
    try {
      const abort = new AbortController();
      const signal = AbortSignal.any([context.signal, abort.signal]);
      const first = await context.reader.read(ref, 0, extentPages * pageBytes, signal);
      if (first === undefined) {
        context.gate.leave();
        return undefined;
      }
      const blob = new PagedBlob(ref, first.sizeBytes, context);
      const pages = blob.addPages(0, extentPages);
      void blob.fillPages(pages, first, abort).finally(() => context.gate.leave());
      return blob;
    } catch (err: unknown) {
      context.gate.leave();
      context.onReadFailed(ref, err as Error);
      throw err;
    }
  }

  /** The page that holds byte `at`, if its bytes up to `end` are there; reads ahead of it. */
  pageAt(at: number, end: number): Page | undefined {
    const index = Math.floor(at / pageBytes);
    const page = this.pages.get(index);
    if (index !== this.lastTouched || page === undefined) this.readAhead(index, page);
    return page !== undefined && end - index * pageBytes <= page.filledBytes ? page : undefined;
  }

  /** Call `done` when the bytes of the page of `at` up to `end` are there, or cannot be had now. */
  whenFilled(at: number, end: number, done: () => void): void {
    const index = Math.floor(at / pageBytes);
    this.readAhead(index, this.pages.get(index));
    const page = this.pages.get(index);
    const untilBytes = end - index * pageBytes;
    if (page === undefined || untilBytes <= page.filledBytes) done();
    else page.waiting.push({ untilBytes, done });
  }

  private get pageCount(): number {
    return Math.max(1, Math.ceil(this.sizeBytes / pageBytes));
  }

  /** Keep an extent and a half ahead of the page in use, in extents: few, large reads. */
  private readAhead(index: number, page: Page | undefined): void {
    this.lastTouched = index;
    if (page) this.context.cache.touch(page);
    const horizon = Math.min(this.pageCount, index + extentPages + extentPages / 2);
    let next = index;
    while (next < horizon && this.pages.has(next)) next++;
    if (next >= horizon || (next > index && next >= index + extentPages)) return;
    if (this.context.gate.isCrowded) return; // the Interest comes again
    let end = next;
    while (end < this.pageCount && end < next + extentPages && !this.pages.has(end)) end++;
    void this.readExtent(next, end);
  }

  private async readExtent(from: number, end: number): Promise<void> {
    const pages = this.addPages(from, end);
    const { gate, reader, signal } = this.context;
    await gate.enter();
    try {
      const abort = new AbortController();
      const startByte = from * pageBytes;
      const read = await reader.read(this.ref, startByte, end * pageBytes, AbortSignal.any([signal, abort.signal]));
      if (read?.sizeBytes !== this.sizeBytes) {
        read?.body.destroy();
        throw new Error("the registry no longer has this blob");
      }
      await this.fillPages(pages, read, abort);
    } catch (err: unknown) {
      this.fail(pages, err as Error);
    } finally {
      gate.leave();
    }
  }

  private addPages(from: number, end: number): Page[] {
    const pages: Page[] = [];
    for (let index = from; index < Math.min(end, this.pageCount); index++) {
      const sizeBytes = Math.min(pageBytes, this.sizeBytes - index * pageBytes);
      const page = this.context.cache.add(sizeBytes, () => this.pages.delete(index));
      this.pages.set(index, page);
      pages.push(page);
    }
    return pages;
  }

  private async fillPages(pages: readonly Page[], read: RangeRead, abort: AbortController): Promise<void> {
    const timer = setTimeout(() => abort.abort(), readTimeoutMs);
    let index = 0;
    try {
      for await (const chunk of read.body as AsyncIterable<Buffer>) {
        timer.refresh();
        this.context.onRead(chunk.length);
        index = distribute(chunk, pages, index);
      }
      if (pages.some((page) => !page.isFull)) throw new Error("the registry's answer was too short");
    } catch (err: unknown) {
      this.fail(pages, err as Error);
    } finally {
      clearTimeout(timer);
    }
  }

  private fail(pages: readonly Page[], reason: Error): void {
    const unfinished = pages.filter((page) => !page.isFull);
    for (const page of unfinished) this.context.cache.remove(page);
    for (const page of unfinished) page.wake(true);
    if (unfinished.length > 0 && !this.context.signal.aborted) this.context.onReadFailed(this.ref, reason);
  }
}

/** Spread a chunk over the pages from `index` on, waking whoever waits; returns the page that is filled next. */
function distribute(chunk: Buffer, pages: readonly Page[], index: number): number {
  let current = index;
  let at = 0;
  while (at < chunk.length && current < pages.length) {
    const page = pages[current]!;
    at += page.fill(chunk, at);
    page.wake(false);
    if (page.isFull) current++;
  }
  return current;
}
