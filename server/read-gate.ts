/**
 * Bounds how many reads of the registry run at a time; the others wait in order.
 */

/** Reads that may wait before no more are begun: each has its pages in memory already. */
const maxWaiting = 32;

/** A counting gate. */
export class ReadGate {
  private readonly limit: number;
  private free: number;
  private readonly queue: (() => void)[] = [];
  /** Reads that pause for want of demand: one of them is woken whenever somebody waits for a place. */
  readonly pausing = new Set<() => void>();

  /** @param limit - Reads at a time. */
  constructor(limit: number) {
    this.limit = limit;
    this.free = limit;
  }

  /** Reads that run now. */
  get inUse(): number {
    return this.limit - this.free;
  }

  /** Whether so many wait that work which can be left out should be. */
  get isCrowded(): boolean {
    return this.queue.length >= maxWaiting;
  }

  /** Whether anybody waits: places that are not needed at the moment should be given back. */
  get isWanted(): boolean {
    return this.queue.length > 0;
  }

  /** Wait for a place; give it back with `leave`. */
  async enter(): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return;
    }
    const place = new Promise<void>((resolve) => this.queue.push(resolve));
    const [pausing] = this.pausing;
    pausing?.();
    await place;
  }

  leave(): void {
    const next = this.queue.shift();
    if (next) next();
    else this.free++;
  }
}
