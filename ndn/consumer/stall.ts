/**
 * When something that no one answers is given up.
 */
import type { SegmentFetch } from "./segment-fetch.ts";

const minStallMs = 2_000;
/** Of the times that four of make up the wait: an RTO that has been backed off, and a round trip. */
const [longestRtoMs, longestRttMs] = [1_000, 2_000];
/**
 * How long an object waits for its turn at a server that answers for others: as long as an upstream may be silent. A
 * queue of more is overload, and another source had better be tried.
 */
const patienceMs = 15_000;

/**
 * Whether a fetch that waits for answers has had none for too long: four RTOs, 2 to 4 s, on a
 * path of more than a second four round trips, up to 8 s, and where its server has answered for other objects meanwhile,
 * 15 s.
 *
 * @param stallTimeoutMs - Given, replaces all that.
 */
export function isStalled(fetch: SegmentFetch, nowMs: number, stallTimeoutMs: number | undefined): boolean {
  const silentMs = nowMs - fetch.progressAtMs;
  if (stallTimeoutMs !== undefined) return silentMs > stallTimeoutMs;
  const { rtoMs, smoothedMs } = fetch.asked.rtt;
  const waitMs = Math.max(Math.min(longestRtoMs, rtoMs), Math.min(longestRttMs, smoothedMs));
  const stallMs = Math.max(minStallMs, 4 * waitMs);
  return silentMs > stallMs && !isInQueue(fetch.what.path, silentMs, stallMs, nowMs);
}

/** When someone last answered, on the clock of `performance.now()`. */
export interface Liveness {
  readonly answeredAtMs: number;
}

/** Whether what has waited so long may be in the queue of a server that has answered for others less than `stallMs` ago. */
export function isInQueue(server: Liveness | undefined, waitedMs: number, stallMs: number, nowMs: number): boolean {
  return server !== undefined && nowMs - server.answeredAtMs <= stallMs && waitedMs <= patienceMs;
}
