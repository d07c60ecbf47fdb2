/** Waiting for what may never come: for work of others, or for something to change. */

/**
 * What `work` gives, unless `signal` fires first: then its reason. `work` itself continues, and its outcome is no one's:
 * some libraries leave a promise open when the connection closes, others look at a signal late.
 */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined); // when the signal was first, nothing else looks at it
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

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
