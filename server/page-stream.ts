/**
 * One read of the registry that fills pages in order, some way ahead of whoever reads them, and pauses there.
 *
 * Hot path: one long request costs a registry far less than many short ones: docker-registry spends 5 ms of CPU on each,
 * which was two thirds of its work for a blob read in ranges of 4 MiB (`npm run bench`, row "server, direct face,
 * client").
 */

import type { Page } from "./page-cache.ts";

/** How far a stream reads ahead of the page that was wanted last, at most: 6 MiB. */
const maxAheadPages = 24;
/** And at least, however many blobs are read at a time: 1 MiB. */
const minAheadPages = 4;
/** Before any segment was asked for, as after metadata, a stream reads no more than this: 1 MiB. */
const unaskedPages = 4;
/** A stream that nobody wants more of for this long gives its place back. */
const idleMs = 2_000;

/** Pages that each of `streams` may be ahead, so that all together keep within half of `cachePages`. */
export function aheadOf(cachePages: number, streams: number): number {
  return Math.min(maxAheadPages, Math.max(minAheadPages, Math.floor(cachePages / 2 / Math.max(1, streams))));
}

/** Where a stream is and how far it may go. */
export class PageStream {
  /** The page that is filled now. */
  next: number;
  /** The page that this stream has begun to fill. */
  filling: Page | undefined;
  /** Behind the last page of this read. */
  readonly end: number;
  private wanted: number;
  private resume: (() => void) | undefined;

  /** Pages that it may be ahead at the moment. */
  private readonly ahead: () => number;

  /** @param wanted - Page that somebody waits for; undefined when nobody does yet. */
  constructor(first: number, end: number, wanted: number | undefined, ahead: () => number) {
    this.next = first;
    this.end = end;
    this.ahead = ahead;
    this.wanted = wanted ?? first + unaskedPages - maxAheadPages;
  }

  /** Whether page `index` will come out of this stream soon, so that waiting is better than asking for it. */
  covers(index: number): boolean {
    return index >= this.next && index < this.end && index <= this.next + maxAheadPages;
  }

  /** Somebody uses or wants page `index`. */
  want(index: number): void {
    if (index <= this.wanted) return;
    this.wanted = index;
    this.resume?.();
  }

  /** Wait until more is wanted; false when it is time to stop, because nobody does or others wait for the place. */
  async mayGoOn(othersWait: () => boolean): Promise<boolean> {
    if (this.isWithinReach) return true;
    if (othersWait()) return false;
    const timedOut = setTimeout(() => this.resume?.(), idleMs);
    await new Promise<void>((resolve) => {
      this.resume = resolve;
    });
    clearTimeout(timedOut);
    this.resume = undefined;
    return this.isWithinReach;
  }

  private get isWithinReach(): boolean {
    return this.next <= this.wanted + this.ahead();
  }
}
