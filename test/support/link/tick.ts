/**
 * How a link learns that time has passed.
 */

/** Calls back soon, and again and again until `work` returns false. */
export type Tick = (work: () => boolean) => void;

/** By timers, which are one or two milliseconds late: for a link in a process that has other things to do. */
export function coarseTick(work: () => boolean): void {
  setTimeout(() => {
    if (work()) coarseTick(work);
  }, 1);
}

const nobody = new Int32Array(new SharedArrayBuffer(4));

/**
 * For a process that is nothing but a link: between two looks at its sockets it sleeps, in which nothing else of it runs,
 * for a hundredth of the round trip, but at least a fifth of a millisecond and at most one. Timers cannot do that, and
 * looking without a sleep would take a core.
 */
export function fineTick(roundTripMs: number): Tick {
  const sleepMs = Math.min(1, Math.max(0.2, roundTripMs / 100));
  const works = new Set<() => boolean>();
  const turn = () => {
    for (const work of works) if (!work()) works.delete(work);
    if (works.size === 0) return;
    Atomics.wait(nobody, 0, 0, sleepMs);
    setImmediate(turn);
  };
  return (work) => {
    if (works.add(work).size === 1) setImmediate(turn);
  };
}
