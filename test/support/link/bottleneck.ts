/**
 * The slowest place of a link: what passes leaves it one after the other, exactly at its rate, and waits in a queue
 * before.
 */
import { Fifo } from "./fifo.ts";

/** What a bottleneck is like. */
export interface BottleneckOptions {
  /** In bits per second. @defaultValue unlimited */
  readonly bitsPerSecond?: number;
  /** The rate is multiplied by each of these in turn, for so long, again and again from its start. */
  readonly rateChanges?: { readonly everyMs: number; readonly factors: readonly number[] };
  /** The queue is full when more than so many bytes, and more than so many packets, wait. @defaultValue 256 KiB, and 0 */
  readonly queueBytes?: number;
  readonly queuePackets?: number;
}

/** Its queue; the options may change between packets, and are valid for those that come then. */
export class Bottleneck {
  /** When each packet that waits or is being sent will have left, and its size. */
  readonly #queue = new Fifo<{ readonly leftAtMs: number; readonly bytes: number }>();
  #queuedBytes = 0;
  #freeAtMs = 0;
  readonly #startedAtMs: number;

  /** @param startedAtMs - When the first rate begins. */
  constructor(startedAtMs = performance.now()) {
    this.#startedAtMs = startedAtMs;
  }

  /** How long a packet that comes now would wait. */
  waitMs(now: number): number {
    return Math.max(0, this.#freeAtMs - now);
  }

  /** Whether the queue has no room for what comes now. */
  isFull(now: number, { bitsPerSecond, queueBytes = 256 * 1024, queuePackets = 0 }: BottleneckOptions): boolean {
    if (bitsPerSecond === undefined) return false;
    while (this.#queue.length > 0 && this.#queue.first!.leftAtMs <= now)
      this.#queuedBytes -= this.#queue.shift()!.bytes;
    return this.#queuedBytes > queueBytes && this.#queue.length > queuePackets;
  }

  /** Let a packet pass; returns when it will have left. */
  pass(bytes: number, now: number, options: BottleneckOptions): number {
    if (options.bitsPerSecond === undefined) return now;
    const bitsPerSecond = options.bitsPerSecond * this.#factor(now, options);
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + (bytes * 8000) / bitsPerSecond;
    this.#queue.push({ leftAtMs: this.#freeAtMs, bytes });
    this.#queuedBytes += bytes;
    return this.#freeAtMs;
  }

  #factor(now: number, { rateChanges }: BottleneckOptions): number {
    if (rateChanges === undefined) return 1;
    const { everyMs, factors } = rateChanges;
    return factors[Math.floor((now - this.#startedAtMs) / everyMs) % factors.length]!;
  }
}
