/**
 * One read of the registry that fills pages in order, some way ahead of whoever reads them, and pauses there.
 *
 * Hot path: one long request costs a registry far less than many short ones: docker-registry spends 5 ms of CPU on each,
 * which was two thirds of its work for a blob read in ranges of 4 MiB (`npm run bench`, row "server, direct face,
 * client").
 */

import type { Page } from "./page-cache.ts";
import type { ReadGate } from "./read-gate.ts";

/** How far a stream reads ahead of the page that was wanted last, at most: 6 MiB. */
const maxAheadPages = 24;
/** And at least, however many blobs are read at a time: 1 MiB. */
const minAheadPages = 4;
/** Before any segment was asked for, as after metadata, a stream reads no more than this: 1 MiB. */
const unaskedPages = 4;
/** A stream that nobody wants more of for this long gives its place back. */
const idleMs = 2_000;
/** And sooner when nobody has wanted anything yet. */
const unaskedIdleMs = 500;

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
  /** Pages that it may be ahead at the moment. */
  private readonly ahead: () => number;
  /** Behind the last page that may be filled before anybody asks. */
  private readonly unaskedEnd: number;
  private wanted: number | undefined;
  private resume: (() => void) | undefined;

  /** @param wanted - Page that somebody waits for; undefined when nobody does yet. */
  constructor(first: number, end: number, wanted: number | undefined, ahead: () => number) {
    this.next = first;
    this.end = end;
    this.ahead = ahead;
    this.unaskedEnd = first + unaskedPages;
    this.wanted = wanted;
  }

  /** Whether page `index` will come out of this stream soon, so that waiting is better than asking for it. */
  covers(index: number): boolean {
    return index >= this.next && index < this.end && index <= this.next + this.ahead();
  }

  /** Somebody uses or wants page `index`. */
  want(index: number): void {
    if (this.wanted !== undefined && index <= this.wanted) return;
    this.wanted = index;
    this.resume?.();
  }

  /** Whether to go on; a promise while nobody wants more. False when others wait for the place, or it is the end. */
  mayGoOn(gate: ReadGate): boolean | Promise<boolean> {
    if (this.next >= this.end) return false;
    return this.isWithinReach || this.untilWanted(gate);
  }

  private async untilWanted(gate: ReadGate): Promise<boolean> {
    const givesUpAtMs = performance.now() + (this.wanted === undefined ? unaskedIdleMs : idleMs);
    while (!this.isWithinReach) {
      if (gate.waiting > 0 || performance.now() >= givesUpAtMs) return false;
      await this.pause(gate, givesUpAtMs - performance.now());
    }
    return true;
  }

  private get isWithinReach(): boolean {
    return this.wanted === undefined ? this.next < this.unaskedEnd : this.next <= this.wanted + this.ahead();
  }

  /** Until somebody wants more, somebody else wants the place, or `ms` are over. */
  private async pause(gate: ReadGate, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms + 1);
    this.resume = resolve;
    gate.pausing.add(resolve);
    await promise;
    gate.pausing.delete(resolve);
    this.resume = undefined;
    clearTimeout(timer);
  }
}
