/**
 * Events on a simulated clock: what takes a minute on a link takes a second here, and the same every time.
 */

/** Runs what is due in the order of its time, and what is due at the same time in the order in which it was planned. */
export class Simulator {
  /** The simulated time in milliseconds. */
  nowMs = 0;
  /** A binary heap, the earliest first. */
  readonly #heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  #planned = 0;

  /** Run something later; `atMs` is at least now. */
  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#planned++, run };
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Run `tick` in each period, from one period after now. */
  every(periodMs: number, tick: () => void): void {
    this.after(periodMs, () => {
      tick();
      this.every(periodMs, tick);
    });
  }

  /** Run all that is due until `untilMs`, which then is the time. */
  run(untilMs: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= untilMs) {
      const event = this.#takeFirst();
      this.nowMs = event.atMs;
      event.run();
    }
    this.nowMs = untilMs;
  }

  #takeFirst() {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

interface Due {
  readonly atMs: number;
  readonly order: number;
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
