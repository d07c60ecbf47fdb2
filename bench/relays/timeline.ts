/**
 * What comes out of a link over time, in steps that grow with the time that it has been watched.
 */
import type { LinkWatcher } from "#test/support/link/link.ts";

/** One number for each step; the first step begins with the first packet. */
export interface TimelineRecord {
  readonly stepMs: number;
  readonly bytes: readonly number[];
  /** Longest wait for the bottleneck, in milliseconds. */
  readonly waitMs: readonly number[];
}

const leastStepMs = 20;
const mostSteps = 160;

/** Watches one direction, whatever the number of connections. */
export class Timeline implements LinkWatcher {
  #stepMs = leastStepMs;
  #bytes: number[] = [];
  #waitMs: number[] = [];
  #startMs: number | undefined;
  #largest: Buffer = Buffer.alloc(0);
  /** Packets that came out so far. */
  packets = 0;

  /** The largest packet so far. */
  get largest(): Buffer {
    return this.#largest;
  }

  delivered(packet: Buffer, now: number): void {
    this.packets++;
    this.#bytes[this.#stepAt(now)]! += packet.length;
    if (packet.length > this.#largest.length) this.#largest = Buffer.from(packet);
  }

  queued(waitMs: number, now: number): void {
    const step = this.#stepAt(now);
    this.#waitMs[step] = Math.max(this.#waitMs[step]!, waitMs);
  }

  record(): TimelineRecord {
    return { stepMs: this.#stepMs, bytes: this.#bytes, waitMs: this.#waitMs.map((ms) => Number(ms.toFixed(1))) };
  }

  #stepAt(now: number): number {
    this.#startMs ??= now;
    let step = Math.floor((now - this.#startMs) / this.#stepMs);
    while (step >= mostSteps) {
      this.#halve();
      step = Math.floor(step / 2);
    }
    for (; this.#bytes.length <= step; this.#bytes.push(0)) this.#waitMs.push(0);
    return step;
  }

  /** Put two steps each together. */
  #halve(): void {
    const pairs = Array.from({ length: Math.ceil(this.#bytes.length / 2) }, (_, index) => 2 * index);
    this.#bytes = pairs.map((at) => this.#bytes[at]! + (this.#bytes[at + 1] ?? 0));
    this.#waitMs = pairs.map((at) => Math.max(this.#waitMs[at]!, this.#waitMs[at + 1] ?? 0));
    this.#stepMs *= 2;
  }
}
