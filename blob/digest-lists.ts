/**
 * The digests of one blob's segments as lists that arrive beside the data (PROTOCOL.md § Digest lists).
 */

import { reasonOf } from "#base/errors.ts";
import { FetchFailed } from "#ndn/consumer/object-to-fetch.ts";
import type { Repair, SegmentCheck } from "#ndn/consumer/segment-check.ts";
import type { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { digestListOf, digestListRange } from "./names.ts";

const digestBytes = 32;
const hexChars = 2 * digestBytes;
/** Lists kept behind the newest: a fetch has at most 1024 segments in its window, which are in no more than 6 lists. */
const listsKept = 8;

/** Where lists and replacements come from, and what is notified of them. */
export interface DigestListsOptions {
  readonly encoder: SegmentDataEncoder;
  readonly lastSegment: number;
  /** The last segment that is wanted: no list beyond its own is asked for. @defaultValue lastSegment */
  readonly lastWanted?: number | undefined;
  /** Content of list `i`, its signature already verified. @throws Error when it is not available. */
  fetchList(i: number): Promise<Buffer>;
  /** Payload of segment `n` from somewhere else than NDN. */
  repair(n: number): Promise<Buffer | undefined>;
  onWrong(n: number): void;
  onRepaired(n: number, how: Repair): void;
}

/** What one fetch compares its segments with. */
export class DigestLists implements SegmentCheck {
  readonly encoder: SegmentDataEncoder;
  listener: ((failure?: Error) => void) | undefined;
  readonly #options: DigestListsOptions;
  /** In hex. */
  readonly #lists = new Map<number, string | undefined>();
  #newest = -1;

  constructor(options: DigestListsOptions) {
    this.encoder = options.encoder;
    this.#options = options;
  }

  expect(n: number): void {
    const list = digestListOf(n);
    if (list <= this.#newest) return;
    this.#newest = list;
    const { lastSegment, lastWanted = lastSegment } = this.#options;
    // One ahead: the next list is there when the window gets to it.
    for (const i of [list, list + 1]) {
      if (!this.#lists.has(i) && digestListRange(i, lastSegment).start <= lastWanted) void this.#load(i);
    }
    this.#lists.delete(list - listsKept);
  }

  digestOf(n: number): string | undefined {
    const i = digestListOf(n);
    const at = (n - digestListRange(i, n).start) * hexChars;
    return this.#lists.get(i)?.slice(at, at + hexChars);
  }

  groupOf(n: number): number {
    return digestListOf(n);
  }

  repair(n: number): Promise<Buffer | undefined> {
    return this.#options.repair(n);
  }

  onWrong(n: number): void {
    this.#options.onWrong(n);
  }

  onRepaired(n: number, how: Repair): void {
    this.#options.onRepaired(n, how);
  }

  async #load(i: number): Promise<void> {
    this.#lists.set(i, undefined);
    try {
      const list = await this.#options.fetchList(i);
      const { start, end } = digestListRange(i, this.#options.lastSegment);
      if (list.length !== (end - start) * digestBytes) throw new Error(`it has ${list.length} bytes`);
      this.#lists.set(i, list.toString("hex"));
      this.listener?.();
    } catch (err: unknown) {
      this.listener?.(new FetchFailed(`digest list ${i} is not available: ${reasonOf(err)}`, { cause: err }));
    }
  }
}
