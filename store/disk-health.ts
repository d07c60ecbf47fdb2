/**
 * When the disk is full or broken nothing is written for a while: the client continues to serve without its store.
 */

/** What a store reports to its metrics. */
export interface StoreEvents {
  /** A blob, or what broke off of one, made room for another. */
  evicted?(sizeBytes: number): void;
  /** The disk refused something. */
  failed?(err: unknown): void;
}

/** The part of the log that a store writes to. */
export interface StoreLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

const logEveryMs = 60_000;

// Everything here is measured with the monotonic clock: people set the other one.
export class DiskHealth {
  /** Nothing is to be written before. */
  pausedUntil = 0;
  readonly #log: StoreLog;
  readonly #events: StoreEvents;
  readonly #pauseMs: number;
  #nextLogAt = 0;
  #unlogged = 0;

  constructor(log: StoreLog, events: StoreEvents, pauseMs: number) {
    this.#log = log;
    this.#events = events;
    this.#pauseMs = pauseMs;
  }

  /** The disk refused something: write nothing for a while, and say so once a minute at most. */
  failed(err: unknown, doing: string): void {
    const now = performance.now();
    this.pausedUntil = Math.max(this.pausedUntil, now + this.#pauseMs);
    this.#events.failed?.(err);
    this.#warn({ err, pauseMs: this.#pauseMs }, `${doing} failed: the store takes nothing for a while`);
  }

  /** One blob cannot be read; others may, so writing continues. */
  unreadable(err: unknown, what: object): void {
    this.#events.failed?.(err);
    this.#warn({ err, ...what }, "a cached blob cannot be read");
  }

  /** The directory is another's now. */
  giveUp(err: unknown): void {
    this.pausedUntil = Number.POSITIVE_INFINITY;
    this.#events.failed?.(err);
    this.#log.warn({ err }, "the store takes nothing until the next start");
  }

  #warn(fields: object, text: string): void {
    const now = performance.now();
    if (now < this.#nextLogAt) {
      this.#unlogged += 1;
      return;
    }
    this.#log.warn({ ...fields, unlogged: this.#unlogged }, text);
    this.#nextLogAt = now + logEveryMs;
    this.#unlogged = 0;
  }
}
