/**
 * The server's memory: pages of blobs, all blobs together within one budget. Pages that have been sent make room first;
 * who finds none waits for one, and those who wait take turns (design § Load).
 */
import { BufferPool } from "#base/buffer-pool.ts";
import { TurnQueue } from "#base/turns.ts";

/** Size of a page: 16 segments of 8192 bytes. */
export const pageBytes = 128 * 1024;
/** Buffers of pages that are gone, 4 MiB of them at most. */
const maxSpare = 32;
/** How far a stream reads ahead of the page that was wanted last, at most: 6 MiB. */
const maxAheadPages = 48;
/** And at least, however many blobs are read at a time. */
const minAheadPages = 1;
/** What was read ahead is kept for its reader for so long, whoever else wants room. */
const keptAheadMs = 2_000;
/** How often those who wait look whether that is over. */
const lookMs = 250;

/** A page of one blob; its bytes `[0, filledBytes)` are there. */
export interface Page {
  readonly buf: Buffer;
  filledBytes: number;
  /** Bytes of it that have been sent; what is sent twice counts twice. */
  sentBytes: number;
  /** When it was filled or used last. */
  touchedAtMs: number;
  /** A digest list is being made that it belongs to: sending it does not make it the first to go. */
  isToHash: boolean;
  /** How many pages were read in order before this one. */
  readonly run: number;
  /** Takes the page out of the blob it belongs to. */
  readonly forget: () => void;
}

export function isFull(page: Page): boolean {
  return page.filledBytes === page.buf.length;
}

/** Someone who cannot go on without a page. */
export interface PageClaim {
  /** For whom it is: different ones take turns. */
  readonly puller: object;
  /** Whether an Interest waits for what comes; else it is only read ahead. */
  isWanted(): boolean;
  /** There is room now: to be taken within this call. */
  grant(): void;
}

/** Which pages are in memory. A page that is being filled stays; of the others those go first that have been sent. */
export class PageMemory {
  readonly #budgetBytes: number;
  #usedBytes = 0;
  /** Full pages that have not been sent, the one that was filled first before the others. */
  readonly #ahead = new Set<Page>();
  /** Full pages that have been sent, least recently used first. */
  readonly #sent = new Set<Page>();
  readonly #claims = new TurnQueue<PageClaim>();
  readonly #spare = new BufferPool(pageBytes, maxSpare);
  #isLooking = false;
  #timer: NodeJS.Timeout | undefined;
  /** @param budgetBytes - For all pages together. */
  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes of all pages. */
  get sizeBytes(): number {
    return this.#usedBytes;
  }

  /** Pages that each of so many reads may be ahead of its readers: all together keep within half of the budget. */
  aheadPages(reads: number): number {
    const share = Math.floor(this.#budgetBytes / pageBytes / 2 / Math.max(1, reads));
    return Math.min(maxAheadPages, Math.max(minAheadPages, share));
  }

  /**
   * A new page; older ones make room. Undefined when there is none: `claim` one then.
   *
   * @param isWanted - Then also pages make room that were read ahead, and not used for 2 s.
   */
  take(sizeBytes: number, isWanted: boolean, run: number, forget: () => void): Page | undefined {
    if (!this.#makeRoom(sizeBytes, isWanted)) return undefined;
    const buf = sizeBytes === pageBytes ? this.#spare.take() : Buffer.allocUnsafeSlow(sizeBytes);
    this.#usedBytes += sizeBytes;
    return { buf, filledBytes: 0, sentBytes: 0, touchedAtMs: 0, isToHash: false, run, forget };
  }

  /** Claims that wait. */
  get waiting(): number {
    return this.#claims.size;
  }

  /** Wait for room; to be withdrawn by who does not want it any more. */
  claim(claim: PageClaim): void {
    this.#claims.add(claim.puller, claim);
    this.look();
  }

  /** Wait no longer. */
  withdraw(claim: PageClaim): void {
    this.#claims.delete(claim);
  }

  /** The page is full. */
  filled(page: Page): void {
    page.touchedAtMs = performance.now();
    this.#ahead.add(page);
  }

  /** All of the page has been sent, or hashed, or its reader is past it. */
  sent(page: Page): void {
    if (page.isToHash || !this.#ahead.delete(page)) return;
    this.#sent.add(page);
    this.look();
  }

  /** The page is in use. */
  touch(page: Page): void {
    page.touchedAtMs = performance.now();
    for (const pages of [this.#ahead, this.#sent]) if (pages.delete(page)) pages.add(page);
  }

  /** Give a page up; it may not be read afterwards. */
  remove(page: Page): void {
    for (const pages of [this.#ahead, this.#sent]) pages.delete(page);
    this.#usedBytes -= page.buf.length;
    page.forget();
    this.#spare.give(page.buf);
    this.look();
  }

  #makeRoom(sizeBytes: number, isWanted: boolean): boolean {
    while (this.#usedBytes + sizeBytes > this.#budgetBytes) {
      const page = this.#leastOf(isWanted);
      if (page === undefined) return false;
      this.remove(page);
    }
    return true;
  }

  /** The page that is to make room first; undefined when none may. */
  #leastOf(isWanted: boolean): Page | undefined {
    const [sent] = this.#sent;
    if (sent !== undefined || !isWanted) return sent;
    const [ahead] = this.#ahead;
    return ahead && performance.now() - ahead.touchedAtMs > keptAheadMs ? ahead : undefined;
  }

  #mayMakeRoom(isWanted: boolean): boolean {
    return this.#usedBytes + pageBytes <= this.#budgetBytes || this.#leastOf(isWanted) !== undefined;
  }

  /** Something has changed: give room to those who wait, if there is any. */
  look(): void {
    if (this.waiting === 0 || this.#isLooking) return;
    this.#isLooking = true;
    queueMicrotask(this.#serve);
  }

  readonly #serve = (): void => {
    this.#isLooking = false;
    clearTimeout(this.#timer);
    for (const isWanted of [true, false]) {
      while (this.waiting > 0 && this.#mayMakeRoom(isWanted)) {
        const next = this.#claims.take((claim) => !isWanted || claim.isWanted());
        if (next === undefined) break;
        next.grant();
      }
    }
    if (this.waiting > 0) this.#timer = setTimeout(this.#serve, lookMs).unref();
  };
}
