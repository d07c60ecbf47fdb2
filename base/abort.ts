/**
 * Signals that follow others, for work of which there is much: `AbortSignal.any` and `AbortSignal.timeout` leave it to the
 * garbage collector to let go, the two together only when the time is up, half a minute after a blob that took 5 ms.
 */

/**
 * A controller that is also aborted when one of `signals` is, for the same reason. They keep it as long as they live, and
 * so must not be one signal for ever more work; nor one of `AbortSignal.any`, which stays as long as it is followed.
 */
export function following(...signals: readonly AbortSignal[]): AbortController {
  const own = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) own.abort(signal.reason);
    else signal.addEventListener("abort", () => own.abort(signal.reason), { once: true });
  }
  return own;
}

/** Do `work` with a signal that also fires when `signal` does, or after `timeoutMs`; afterwards nothing is left of it. */
export async function withTimeout<T>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  const onAbort = () => own.abort(signal.reason);
  const onTimeout = () => own.abort(new DOMException(`${timeoutMs} ms are over`, "TimeoutError"));
  const timer = setTimeout(onTimeout, timeoutMs);
  timer.unref();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(own.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
