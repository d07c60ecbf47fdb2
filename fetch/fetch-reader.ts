import type { ReadEvents } from "#blob/fallback.ts";
import type { BlobRef, BlobSource } from "#blob/source.ts";
import type { GrowingBlob, GrowthReader } from "./growing-blob.ts";

/** What a puller brings along: the blob as it asked for it, and where it may be read with the puller's own rights. */
export interface Puller {
  readonly blob: BlobRef;
  readonly sources: readonly BlobSource[];
  readonly events: ReadEvents;
}

/** One reader of a shared fetch, from joining to leaving. */
export class FetchReader implements GrowthReader {
  /** Undefined for one that only follows. */
  readonly puller: Puller | undefined;
  /** The growing blob once its size is known; undefined when the blob cannot be shared and the reader is on its own. */
  readonly opened = Promise.withResolvers<GrowingBlob | undefined>();
  position = 0;
  end = Number.POSITIVE_INFINITY;
  /** Its own sources have been asked. */
  hasLed = false;
  /** What its own sources failed with. */
  ownFailure: unknown;
  /** The end of it, before all bytes were there. */
  failure: unknown;
  readonly #onLeave: (reader: FetchReader) => void;

  constructor(puller: Puller | undefined, onLeave: (reader: FetchReader) => void) {
    this.puller = puller;
    this.#onLeave = onLeave;
    this.opened.promise.catch(() => {}); // a reader that has left asks no more
  }

  /** Give up what is left; harmless when it has left already. */
  leave(): void {
    this.#onLeave(this);
  }

  /** The reader gets `err` instead of further bytes. */
  fail(err: unknown): void {
    this.failure = err;
    this.opened.reject(err);
  }
}
