/**
 * Bounds how many reads of the registry run at a time; the others wait in order.
 */
import { Semaphore } from "#base/semaphore.ts";

/** Reads that may wait before no more are begun: each has its pages in memory already. */
const maxWaiting = 32;

/** A semaphore whose holders may pause, and are woken when others wait. */
export class ReadGate extends Semaphore {
  /** Reads that pause for want of demand: one of them is woken whenever a read waits for a permit. */
  readonly pausing = new Set<() => void>();

  /** Whether so many wait that work which can be left out should be. */
  get isCrowded(): boolean {
    return this.waiting >= maxWaiting;
  }

  override async acquire(signal?: AbortSignal): Promise<void> {
    const acquired = super.acquire(signal);
    const [pausing] = this.waiting > 0 ? this.pausing : [];
    pausing?.();
    await acquired;
  }
}
