/**
 * How far the clocks of servers are from this machine's: known from answers that were made for a question of ours, so
 * that the age of what caches have can be told although clocks are wrong.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { formatName, type Name, nameKey } from "#ndn/packet/name.ts";

/** Clocks that are farther apart are worth a warning. */
const warnAboveMs = 60_000;
const maxKeys = 1_000;

/** By the key that signs. */
export class ClockOffsets {
  readonly #offsets = new LRUCache<string, number>({ max: maxKeys });
  readonly #warned = new LRUCache<string, true>({ max: maxKeys });
  readonly #now: () => number;
  readonly #log: Pick<Logger, "warn">;

  /** @param now - Milliseconds since 1970. */
  constructor(log: Pick<Logger, "warn">, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
  }

  /** What the clock of this key's server says now, as far as is known. */
  nowAt(key: Name): number {
    return this.#now() + (this.#offsets.get(nameKey(key)) ?? 0);
  }

  /** This key has just signed with this time. */
  saw(key: Name, timeMs: number): void {
    const offsetMs = timeMs - this.#now();
    const id = nameKey(key);
    this.#offsets.set(id, offsetMs);
    if (Math.abs(offsetMs) <= warnAboveMs || this.#warned.has(id)) return;
    this.#warned.set(id, true);
    this.#log.warn(
      { key: formatName(key), offsetSeconds: Math.round(offsetMs / 1000) },
      "the clocks of this machine and of the server are far apart; tags are asked for past caches until that is known",
    );
  }
}
