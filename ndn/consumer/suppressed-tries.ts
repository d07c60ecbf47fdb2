/**
 * Segments that were asked for again so soon that a forwarder may have suppressed it: they are asked for once more when
 * it passes Interests on again, not only after another RTO.
 */
import { minRtoMs } from "./rtt-estimator.ts";

/** Those of one fetch, about in the order in which they are due. */
export class SuppressedTries {
  #segments: number[] = [];
  #dueAtMs: number[] = [];

  /** Segment `n` is asked for a second time. @param firstAtMs - When it was first asked for. */
  askedAgain(n: number, firstAtMs: number, nowMs: number): void {
    if (nowMs - firstAtMs < minRtoMs) this.#add(n, firstAtMs + minRtoMs);
  }

  /**
   * Take out those that are due.
   *
   * @param visit - Is called with each; returns when it is due after all, if that is later.
   */
  takeDue(nowMs: number, visit: (n: number) => number): void {
    if (!(this.#dueAtMs[0]! <= nowMs)) return;
    const due = this.#dueAtMs.findIndex((atMs) => atMs > nowMs);
    const count = due < 0 ? this.#dueAtMs.length : due;
    this.#dueAtMs.splice(0, count);
    for (const n of this.#segments.splice(0, count)) {
      const laterMs = visit(n);
      if (laterMs > nowMs) this.#add(n, laterMs);
    }
  }

  clear(): void {
    this.#segments = [];
    this.#dueAtMs = [];
  }

  #add(n: number, dueAtMs: number): void {
    this.#segments.push(n);
    this.#dueAtMs.push(dueAtMs);
  }
}
