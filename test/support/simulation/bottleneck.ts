/**
 * The narrow place of a simulated path: a rate, a queue that drops what does not fit, and what happens to packets behind.
 */
import type { Simulator } from "./simulator.ts";

/** What a bottleneck is like; it may be changed while packets are in it. */
export interface BottleneckOptions {
  /** Bits per second. */
  rate: number;
  /** Bytes that wait at most. */
  queueBytes: number;
  /** Share of the packets that are lost before they come here, 0 to 1. @defaultValue 0 */
  loss?: number;
  /** Packets take up to this much longer behind it, and overtake each other. @defaultValue 0 */
  jitterMs?: number;
  /** Packets that wait behind more than this many bytes are marked. @defaultValue never */
  markAboveBytes?: number;
}

/** Drops at the tail of its queue. */
export class Bottleneck {
  readonly options: BottleneckOptions;
  /** Packets that have passed, and those that found no room. */
  readonly counters = { passed: 0, lost: 0, dropped: 0 };
  /** The longest time that a packet has waited since this was last set to 0. */
  maxWaitMs = 0;
  readonly #simulator: Simulator;
  readonly #random: () => number;
  #waitingBytes = 0;
  #freeAtMs = 0;

  constructor(simulator: Simulator, options: BottleneckOptions, random: () => number) {
    this.#simulator = simulator;
    this.options = options;
    this.#random = random;
  }

  /** A packet enters; `arrive` is called when it has passed. @returns false when it is lost or dropped. */
  send(bytes: number, delayMs: number, arrive: (isMarked: boolean) => void): boolean {
    const { rate, queueBytes, loss = 0, jitterMs = 0, markAboveBytes = Number.POSITIVE_INFINITY } = this.options;
    if (loss > 0 && this.#random() < loss) {
      this.counters.lost++;
      return false;
    }
    if (this.#waitingBytes > queueBytes) {
      this.counters.dropped++;
      return false;
    }
    const isMarked = this.#waitingBytes > markAboveBytes;
    this.#waitingBytes += bytes;
    const simulator = this.#simulator;
    const startsAtMs = Math.max(simulator.nowMs, this.#freeAtMs);
    this.maxWaitMs = Math.max(this.maxWaitMs, startsAtMs - simulator.nowMs);
    this.#freeAtMs = startsAtMs + (bytes * 8000) / rate;
    simulator.at(this.#freeAtMs, () => {
      this.#waitingBytes -= bytes;
      this.counters.passed++;
      simulator.after(delayMs + jitterMs * this.#random(), () => arrive(isMarked));
    });
    return true;
  }
}
