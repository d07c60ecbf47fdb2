/**
 * The server's memory: pages of blobs, all blobs together within one budget. Least recently used pages go first;
 * a page that is being filled stays.
 */
import { BufferPool } from "#base/buffer-pool.ts";

/** Size of a page: 32 segments of 8192 bytes. */
export const pageBytes = 256 * 1024;

/** Buffers of pages that are gone, 4 MiB of them at most. */
const maxSpare = 16;

/** A page of one blob; its bytes `[0, filledBytes)` are there. */
export class Page {
  readonly buf: Buffer;
  filledBytes = 0;
  /** Whether it is some read's to fill. */
  isClaimed = false;
  /** Calls to make once so many bytes are there, or the read has failed. */
  readonly waiting: { readonly untilBytes: number; readonly done: () => void }[] = [];
  private readonly forget: () => void;

  constructor(buf: Buffer, forget: () => void) {
    this.buf = buf;
    this.forget = forget;
  }

  get isFull(): boolean {
    return this.filledBytes === this.buf.length;
  }

  /** What is still to be filled. */
  get rest(): Buffer {
    return this.buf.subarray(this.filledBytes);
  }

  /** Call those whose bytes are there now; all of them when the read has ended. */
  wake(ended: boolean): void {
    const ready = this.waiting.filter((waiter) => ended || waiter.untilBytes <= this.filledBytes);
    if (ready.length === 0) return;
    const left = this.waiting.filter((waiter) => !ready.includes(waiter));
    this.waiting.splice(0, this.waiting.length, ...left);
    for (const waiter of ready) waiter.done();
  }

  /** Take the page out of the blob it belongs to. */
  evicted(): void {
    this.forget();
  }
}

/** Which pages are in memory, in order of use. */
export class PageCache {
  private readonly budgetBytes: number;
  private readonly pages = new Set<Page>();
  private usedBytes = 0;
  private readonly spare = new BufferPool(pageBytes, maxSpare);

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  /** Full pages that fit. */
  get capacityPages(): number {
    return Math.floor(this.budgetBytes / pageBytes);
  }

  /** Bytes held. */
  get sizeBytes(): number {
    return this.usedBytes;
  }

  /** A new page; older ones make room. `forget` is called when its turn comes. */
  add(sizeBytes: number, forget: () => void): Page {
    this.makeRoom(sizeBytes);
    const buf = sizeBytes === pageBytes ? this.spare.take() : Buffer.allocUnsafeSlow(sizeBytes);
    const page = new Page(buf, forget);
    this.pages.add(page);
    this.usedBytes += sizeBytes;
    return page;
  }

  /** The page was used. */
  touch(page: Page): void {
    if (this.pages.delete(page)) this.pages.add(page);
  }

  /** Give a page up; nobody may read it afterwards. */
  remove(page: Page): void {
    if (!this.pages.delete(page)) return;
    this.usedBytes -= page.buf.length;
    page.evicted();
    this.spare.give(page.buf);
  }

  private makeRoom(sizeBytes: number): void {
    for (const oldest of this.pages) {
      if (this.usedBytes + sizeBytes <= this.budgetBytes) break;
      if (oldest.isFull) this.remove(oldest);
    }
  }
}
