/**
 * Readers that get each chunk together, because there is no file in which one could stay behind: the next chunk comes
 * when all have taken this one. One that the others have waited too long for is broken off.
 */

import type { Bell } from "#base/change-notifier.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { Patience } from "./shared-fetch-patience.ts";

/** One of them. */
interface Reader {
  readonly position: number;
  readonly end: number;
  fail(err: unknown): void;
  leave(): void;
}

const defaultPatienceMs = 15_000;

export class LockStep {
  readonly #readers: ReadonlySet<Reader>;
  readonly #bell: Bell;
  readonly #patience: Patience<Reader>;
  readonly #breakers = new WeakMap<Reader, AbortController>();

  /**
   * @param readers - Those that are present.
   * @param bell - Rings when one has taken something or has left.
   */
  constructor(readers: ReadonlySet<Reader>, bell: Bell, patienceMs: number = defaultPatienceMs) {
    this.#readers = readers;
    this.#bell = bell;
    this.#patience = new Patience(patienceMs);
  }

  /** Wait until all have taken the bytes before `end`, or want none of them, or have left, or have been broken off. */
  async taken(end: number, signal: AbortSignal): Promise<void> {
    for (let slow = this.#behind(end); slow.size > 0; slow = this.#behind(end)) {
      // Where nobody has taken them nobody waits for another.
      const waitedFor = slow.size < this.#readers.size ? slow : new Set<Reader>();
      this.#patience.waitFor(waitedFor, this.#readers);
      const over = [...waitedFor].filter((reader) => this.#patience.leftMs(reader) === 0);
      for (const reader of over) this.#breakOff(reader);
      if (over.length === 0) await this.#change(waitedFor, signal);
    }
    this.#patience.waitFor(new Set(), this.#readers);
  }

  /** Fires when the reader is broken off: bytes that it has in its hands are the next ones' soon. */
  brokenOff(reader: Reader): AbortSignal {
    const breaker = this.#breakers.get(reader) ?? new AbortController();
    this.#breakers.set(reader, breaker);
    return breaker.signal;
  }

  #behind(end: number): Set<Reader> {
    return new Set([...this.#readers].filter((reader) => reader.position < Math.min(end, reader.end)));
  }

  /** Until something has changed, or patience with one of these is over. */
  async #change(waitedFor: ReadonlySet<Reader>, signal: AbortSignal): Promise<void> {
    if (waitedFor.size === 0) return this.#bell.heard(signal);
    const leftMs = Math.min(...Array.from(waitedFor, (reader) => this.#patience.leftMs(reader)));
    const timer = setTimeout(() => this.#bell.ring(), Math.ceil(leftMs));
    try {
      await this.#bell.heard(signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #breakOff(reader: Reader): void {
    const err = new BlobUnavailable("the store has failed, and the others cannot wait for so slow a reader");
    reader.fail(err);
    this.#breakers.get(reader)?.abort(err);
    reader.leave();
  }
}
