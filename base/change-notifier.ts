import { raceAbort } from "./abort.ts";

/** Wakes all who wait for something to have changed; each of them looks again for itself. */
export class ChangeNotifier {
  #next: PromiseWithResolvers<void> | undefined;

  /** Something has changed. */
  notify(): void {
    const next = this.#next;
    this.#next = undefined;
    next?.resolve();
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    this.#next ??= Promise.withResolvers();
    return this.#next.promise;
  }

  /** The same. @throws The signal's reason. */
  wait(signal: AbortSignal): Promise<void> {
    return raceAbort(this.changed(), signal);
  }
}
