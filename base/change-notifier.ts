import { raceAbort } from "./abort.ts";

/** Wakes everyone who waits for something to have changed; whoever is woken looks again for themselves. */
export class Bell {
  #next: PromiseWithResolvers<void> | undefined;

  ring(): void {
    const next = this.#next;
    this.#next = undefined;
    next?.resolve();
  }

  /** Resolves at the next ring. */
  next(): Promise<void> {
    this.#next ??= Promise.withResolvers();
    return this.#next.promise;
  }

  /** The same. @throws The signal's reason. */
  heard(signal: AbortSignal): Promise<void> {
    return raceAbort(this.next(), signal);
  }
}
