import { abortable } from "#oci/abortable.ts";

/** Wakes everyone who waits for something to have changed; whoever is woken looks again for themselves. */
export class Bell {
  #next = Promise.withResolvers<void>();

  ring(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  }

  /** Resolves at the next ring. @throws The signal's reason. */
  heard(signal: AbortSignal): Promise<void> {
    return abortable(this.#next.promise, signal);
  }
}
