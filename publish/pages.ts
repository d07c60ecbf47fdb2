/**
 * The server's memory: pages of blobs, all blobs together within one budget, and the reads that fill them in order.
 *
 * Hot path: one long request costs a registry far less than many short ones: docker-registry spends 5 ms of CPU on each,
 * which was two thirds of its work for a blob read in ranges of 4 MiB (`npm run bench`, row "server, direct face,
 * client"). So a read goes some way ahead of its readers, and pauses there.
 */
import { BufferPool } from "#base/buffer-pool.ts";
import { Semaphore } from "#base/limits.ts";

/** Size of a page: 32 segments of 8192 bytes. */
export const pageBytes = 256 * 1024;
/** Buffers of pages that are gone, 4 MiB of them at most. */
const maxSpare = 16;
/** How far a stream reads ahead of the page that was wanted last, at most: 6 MiB. */
const maxAheadPages = 24;
/** And at least, however many blobs are read at a time: 1 MiB. */
const minAheadPages = 4;
/** Before any segment was asked for, as after metadata, a stream reads no more than this: 1 MiB. */
const unaskedPages = 4;
/** A stream of which no more is wanted for this long ends and gives its permit back. */
const idleMs = 2_000;
/** And sooner when nothing was wanted yet. */
const unaskedIdleMs = 500;
/** Reads that may wait before no more are begun: each has its pages in memory already. */
const maxWaiting = 32;

/** A page of one blob; its bytes `[0, filledBytes)` are there. */
export interface Page {
  readonly buf: Buffer;
  filledBytes: number;
  /** Whether it is some read's to fill. */
  isClaimed: boolean;
  /** Calls to make once so many bytes are there, or the read has failed. */
  waiting: { readonly untilBytes: number; readonly done: () => void }[];
  /** Takes the page out of the blob it belongs to. */
  readonly forget: () => void;
}

export function isFull(page: Page): boolean {
  return page.filledBytes === page.buf.length;
}

/** Call those whose bytes are there now; all of them when the read has ended. */
export function wake(page: Page, ended: boolean): void {
  const ready = page.waiting.filter((waiter) => ended || waiter.untilBytes <= page.filledBytes);
  if (ready.length === 0) return;
  page.waiting = page.waiting.filter((waiter) => !ready.includes(waiter));
  for (const waiter of ready) waiter.done();
}

/** Which pages are in memory. Least recently used ones go first; a page that is being filled stays. */
export class PageCache {
  /** Full pages that fit. */
  readonly capacityPages: number;
  readonly #budgetBytes: number;
  readonly #pages = new Set<Page>();
  #usedBytes = 0;
  readonly #spare = new BufferPool(pageBytes, maxSpare);

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
    this.capacityPages = Math.floor(budgetBytes / pageBytes);
  }

  /** Bytes of all pages. */
  get sizeBytes(): number {
    return this.#usedBytes;
  }

  /** A new page; older ones make room. `forget` is called when its turn comes. */
  add(sizeBytes: number, forget: () => void): Page {
    for (const oldest of this.#pages) {
      if (this.#usedBytes + sizeBytes <= this.#budgetBytes) break;
      if (isFull(oldest)) this.remove(oldest);
    }
    const buf = sizeBytes === pageBytes ? this.#spare.take() : Buffer.allocUnsafeSlow(sizeBytes);
    const page: Page = { buf, filledBytes: 0, isClaimed: false, waiting: [], forget };
    this.#pages.add(page);
    this.#usedBytes += sizeBytes;
    return page;
  }

  /** The page was used. */
  touch(page: Page): void {
    if (this.#pages.delete(page)) this.#pages.add(page);
  }

  /** Give a page up; it may not be read afterwards. */
  remove(page: Page): void {
    if (!this.#pages.delete(page)) return;
    this.#usedBytes -= page.buf.length;
    page.forget();
    this.#spare.give(page.buf);
  }
}

/** Bounds how many reads run at a time: holders may pause, and are woken when others wait. */
export class ReadLimit extends Semaphore {
  /** Reads that pause for want of demand: one of them is woken whenever a read waits for a permit. */
  readonly pausing = new Set<() => void>();
  readonly #cachePages: number;

  /** @param cachePages - Full pages that fit into memory. */
  constructor(permits: number, cachePages: number) {
    super(permits);
    this.#cachePages = cachePages;
  }

  /** Whether so many wait that work which can be left out should be. */
  get isCrowded(): boolean {
    return this.waiting >= maxWaiting;
  }

  /** Pages that each read may be ahead of its readers, so that all together keep within half of the cache. */
  get aheadPages(): number {
    const share = Math.floor(this.#cachePages / 2 / Math.max(1, this.inUse));
    return Math.min(maxAheadPages, Math.max(minAheadPages, share));
  }

  override async acquire(signal?: AbortSignal): Promise<void> {
    const acquired = super.acquire(signal);
    const [pausing] = this.waiting > 0 ? this.pausing : [];
    pausing?.();
    await acquired;
  }
}

/** One read of the registry that fills pages in order: where it is and how far it may go. */
export class PageStream {
  /** The page that is filled now. */
  next: number;
  /** The page that this stream has begun to fill. */
  filling: Page | undefined;
  /** Behind the last page of this read. */
  readonly end: number;
  readonly #limit: ReadLimit;
  /** Behind the last page that may be filled before any is wanted. */
  readonly #unaskedEnd: number;
  #wanted: number | undefined;
  #resume: (() => void) | undefined;

  /** @param wanted - Page that a reader waits for; undefined when none does yet. */
  constructor(first: number, end: number, wanted: number | undefined, limit: ReadLimit) {
    this.next = first;
    this.end = end;
    this.#limit = limit;
    this.#unaskedEnd = first + unaskedPages;
    this.#wanted = wanted;
  }

  /** Page `index` is used or wanted. */
  want(index: number): void {
    if (this.#wanted !== undefined && index <= this.#wanted) return;
    this.#wanted = index;
    this.#resume?.();
  }

  /** Whether to continue; a promise while no more is wanted. False when others wait for the permit, or at the end. */
  mayContinue(): boolean | Promise<boolean> {
    if (this.next >= this.end) return false;
    return this.#isWithinReach || this.#untilWanted();
  }

  get #isWithinReach(): boolean {
    if (this.#wanted === undefined) return this.next < this.#unaskedEnd;
    return this.next <= this.#wanted + this.#limit.aheadPages;
  }

  async #untilWanted(): Promise<boolean> {
    const givesUpAtMs = performance.now() + (this.#wanted === undefined ? unaskedIdleMs : idleMs);
    const { pausing } = this.#limit;
    while (!this.#isWithinReach) {
      const leftMs = givesUpAtMs - performance.now();
      if (this.#limit.waiting > 0 || leftMs <= 0) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, leftMs + 1);
      this.#resume = resolve;
      pausing.add(resolve);
      await promise; // more is wanted, another read waits for a permit, or the time is over
      pausing.delete(resolve);
      this.#resume = undefined;
      clearTimeout(timer);
    }
    return true;
  }
}
