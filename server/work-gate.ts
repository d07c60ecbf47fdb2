/**
 * Bounds work that strangers can cause: so much at a time, so much that waits, and the rest is refused.
 */

/** Runs pieces of work, in the order in which they came. */
export class WorkGate {
  private readonly atOnce: number;
  private readonly maxWaiting: number;
  private readonly queue: (() => void)[] = [];
  private running = 0;

  constructor(atOnce: number, maxWaiting: number) {
    this.atOnce = atOnce;
    this.maxWaiting = maxWaiting;
  }

  /** Run `work` when its turn comes. @throws Error when too much waits already; whatever `work` throws. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.atOnce) this.running++;
    else await this.turn();
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.running--;
    }
  }

  /** A place that is handed over by the work before. */
  private turn(): Promise<void> {
    if (this.queue.length >= this.maxWaiting) throw new Error(`${this.maxWaiting} others wait for the same work`);
    return new Promise((resolve) => this.queue.push(resolve));
  }
}
