import type { ReadEvents } from "#blob/fallback.ts";
import type { BlobRef, BlobSource } from "#blob/source.ts";
import type { InFlightBlob, InFlightReader } from "./in-flight-blob.ts";

/** What a puller brings along: the blob as it asked for it, and where it may be read with the puller's own rights. */
export interface PullerSources {
  readonly blob: BlobRef;
  readonly sources: readonly BlobSource[];
  readonly events: ReadEvents;
}

/** One reader of a shared fetch, from joining to leaving. */
export class FetchReader implements InFlightReader {
  /** Undefined for one that only follows. */
  readonly puller: PullerSources | undefined;
  /** The blob once its size is known; undefined when it cannot be shared and the reader is on its own. */
  readonly opened = Promise.withResolvers<InFlightBlob | undefined>();
  /** Fires when the others wait no longer for this reader: what it is being sent is to be broken off at once. */
  readonly brokenOff = new AbortController();
  position = 0;
  end = Number.POSITIVE_INFINITY;
  /** Its own sources have been asked. */
  hasLed = false;
  /** What its own sources failed with. */
  ownFailure: unknown;
  /** The end of it, before all bytes were there. */
  failure: unknown;
  /** Give up what is left; harmless when it has left already. */
  readonly leave: () => void;

  constructor(puller: PullerSources | undefined, onLeave: (reader: FetchReader) => void) {
    this.puller = puller;
    this.leave = () => onLeave(this);
    this.opened.promise.catch(() => {}); // a reader that has left asks no more
  }

  /** The reader gets `err` instead of further bytes. */
  fail(err: unknown): void {
    this.failure = err;
    this.opened.reject(err);
  }

  breakOff(err: unknown): void {
    this.fail(err);
    this.brokenOff.abort(err);
    this.leave();
  }
}
