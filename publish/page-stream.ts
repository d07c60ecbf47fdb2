/**
 * One read of the registry that fills pages in order, and pauses where no more is wanted or there is no memory.
 *
 * Hot path: one long request costs a registry far less than many short ones: docker-registry spends 5 ms of CPU on each,
 * which was two thirds of its work for a blob read in ranges of 4 MiB (`npm run bench`, row "server, direct face,
 * client"). What is broken off is lost in the sockets on the way, megabytes of it: a read pauses instead, and one that
 * may end soon asks for no more than is wanted.
 */
import { Semaphore } from "#base/limits.ts";
import type { Puller } from "#ndn/producer.ts";
import { isFull, type Page, type PageClaim, type PageMemory, pageBytes } from "./page-memory.ts";

/** Connections to the registry: a paused read holds one. */
const maxReads = 256;
/** Requests that the registry has not answered yet. */
const maxUnanswered = 32;
/** Reads that may wait for a connection; beyond that Interests have to come again. */
const maxWaiting = 256;
/** A read of which no more is wanted for this long ends: a slow puller's sockets hold what lasts it for seconds. */
const idleMs = 20_000;
/** And sooner when who wanted it last is gone; it is looked so often. */
const goneMs = 2_000;
/** A wanted page that is farther ahead than this is not waited for: 8 MiB, the largest window of a reader. */
const maxNearPages = 64;
/** A read that is so far ahead of its readers as it may be resumes when only this part of it is left. */
const resumeShare = 3 / 4;
/** Pages that are asked for behind what is wanted by one who has read only some in order. */
const maxGuessedPages = 8;

/** Bounds the reads of the registry. */
export class ReadLimit extends Semaphore {
  /** Requests that wait for the head of their answer. */
  readonly unanswered = new Semaphore(maxUnanswered);
  /** Reads that pause for want of demand, the one that has paused for longest first: it ends when another waits. */
  readonly pausing = new Set<() => void>();

  constructor(permits: number = maxReads) {
    super(permits, maxWaiting);
  }

  /** Whether so many wait that no more may. */
  get isCrowded(): boolean {
    return this.waiting >= maxWaiting;
  }

  override async acquire(signal?: AbortSignal): Promise<void> {
    const acquired = super.acquire(signal);
    const [pausing] = this.waiting > 0 ? this.pausing : [];
    pausing?.();
    await acquired;
  }
}

/** What a stream is part of. */
export interface PageStreamOptions {
  readonly memory: PageMemory;
  readonly limit: ReadLimit;
  /** The first page. */
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
  /** How many pages were read in order before the first. */
  readonly run: number;
  /** The last page that is wanted. */
  readonly wanted: number;
  /** Whether an Interest waits for any of the pages `[first, end)`. */
  isAwaited(first: number, end: number): boolean;
  /** Take memory for a page; undefined when there is none. */
  addPage(index: number, isWanted: boolean, run: number): Page | undefined;
}

/** Where a read is, and how far it may go. */
export class PageStream implements PageClaim {
  /** The page that is filled now, or the next one to be. */
  next: number;
  /** Behind the last page of this read; it may come nearer. */
  end: number;
  /** The page that is being filled. */
  page: Page | undefined;
  /** For whom it was wanted last. */
  puller: Puller = {};
  /** The last page that is used or wanted. */
  wanted: number;
  /** What it reads has been asked of the registry. */
  hasBegun = false;
  /** It has waited in the midst of an answer: the other end may have lost patience. */
  hasPaused = false;
  readonly #options: PageStreamOptions;
  /** So many pages were read in order before the one with number 0, as it were. */
  #runAtZero: number;
  #hasEnded = false;
  #wantedAtMs = performance.now();
  #waiting: Promise<boolean> | undefined;
  #resume: (() => void) | undefined;

  constructor(options: PageStreamOptions) {
    this.#options = options;
    this.next = options.first;
    this.wanted = options.wanted;
    this.end = options.end;
    this.#runAtZero = options.run - options.first;
  }

  /** The bytes `[start, end)` to ask the registry for next: many where all of them will be wanted, else no more than are. */
  planRead(): { start: number; end: number } {
    const run = this.runAt(this.next);
    const likely = run < minRunPages ? Math.min(run, maxGuessedPages) : run;
    const unwanted = this.#options.limit.waiting > 0 ? 0 : likely;
    this.end = Math.min(this.end, this.next + Math.max(1, this.wanted + 1 - this.next, unwanted));
    this.hasPaused = false;
    return { start: this.next * pageBytes + (this.page?.filledBytes ?? 0), end: this.end * pageBytes };
  }

  /** How many pages will have been read in order before page `index`. */
  runAt(index: number): number {
    return this.#runAtZero + index;
  }

  /** Begin to read at an earlier page, before which so many were read in order; not once it has begun. */
  beginAt(first: number, run: number): void {
    this.next = first;
    this.#runAtZero = run - first;
  }

  /** Whether page `index` will soon come out of this stream, so that waiting is better than asking for it. */
  covers(index: number): boolean {
    return index >= this.next && index < this.end && index <= this.next + maxNearPages;
  }

  /** Page `index` is used, or wanted by `puller`. */
  want(index: number, puller: Puller | undefined): void {
    this.#wantedAtMs = performance.now();
    if (puller !== undefined) this.puller = puller;
    if (index <= this.wanted) return;
    this.wanted = index;
    if (this.#isWorthResuming) this.#resume?.();
    this.#options.memory.look();
  }

  isWanted(): boolean {
    return this.#options.isAwaited(this.next, Math.min(this.end, this.wanted + 1));
  }

  grant(): void {
    if (this.page === undefined && !this.isAtEnd) this.#takePage();
    this.#resume?.();
  }

  /** So many bytes have come into `page`. @returns how many it has now; full, it is the stream's no longer */
  filled(bytes: number): number {
    const page = this.page!;
    page.filledBytes += bytes;
    if (isFull(page)) {
      this.page = undefined;
      this.next++;
      this.#options.memory.filled(page);
    }
    return page.filledBytes;
  }

  /** Have a page to fill. @returns false when no more is to be filled; a promise while it has to wait */
  advance(): boolean | Promise<boolean> {
    if (this.page !== undefined) return true;
    if (this.#waiting !== undefined) return this.#waiting;
    if (this.isAtEnd) return false;
    if (this.#isWithinReach && this.#takePage()) return true;
    this.#waiting = this.#untilPossible();
    return this.#waiting;
  }

  /** Whether no more is to be filled. */
  get isAtEnd(): boolean {
    return this.#hasEnded || this.next >= this.end;
  }

  /** Wait for nothing any more. */
  close(): void {
    this.#hasEnded = true;
    this.#resume?.();
  }

  get #isWithinReach(): boolean {
    const { memory, limit } = this.#options;
    return this.next <= this.wanted + aheadPages(memory, limit, this.runAt(this.next));
  }

  /** Hot path: to pause and resume for each page costs more than to read some pages at once. */
  get #isWorthResuming(): boolean {
    const { memory, limit } = this.#options;
    const ahead = aheadPages(memory, limit, this.runAt(this.next));
    return this.next <= this.wanted + Math.floor(ahead * resumeShare);
  }

  #takePage(): boolean {
    const isWanted = this.next <= this.wanted && this.isWanted();
    this.page = this.#options.addPage(this.next, isWanted, this.runAt(this.next));
    return this.page !== undefined;
  }

  async #untilPossible(): Promise<boolean> {
    while (!this.isAtEnd && this.page === undefined) {
      const leftMs = this.#wantedAtMs + (this.puller.isGone ? goneMs : idleMs) - performance.now();
      const isWithinReach = this.#isWithinReach;
      const givesWay = !isWithinReach && this.#options.limit.waiting > 0;
      if (leftMs <= 0 || givesWay) this.#hasEnded = true;
      else if (!isWithinReach || !this.#takePage()) await this.#pause(isWithinReach, leftMs);
    }
    this.#waiting = undefined;
    return this.page !== undefined;
  }

  /** Until there is memory, if that is what it waits for, or more is wanted. */
  async #pause(forMemory: boolean, longestMs: number): Promise<void> {
    const { memory, limit } = this.#options;
    this.hasPaused = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(longestMs, goneMs) + 1);
    this.#resume = resolve;
    if (forMemory) memory.claim(this);
    else limit.pausing.add(resolve);
    await promise;
    this.#resume = undefined;
    memory.withdraw(this);
    limit.pausing.delete(resolve);
    clearTimeout(timer);
  }
}

/** So many pages have to be read in order before more is read than is wanted: a reader of a part would throw it away. */
export const minRunPages = 48;

/** How far a read may be ahead of its readers behind so many pages that were read in order. */
export function aheadPages(memory: PageMemory, limit: ReadLimit, run: number): number {
  return run < minRunPages ? 0 : Math.min(memory.aheadPages(limit.inUse), Math.floor(run / 2));
}
