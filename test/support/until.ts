import { performance } from "node:perf_hooks"; // passes also where a test has taken the global one's place
import { setTimeout as delay } from "node:timers/promises";

/**
 * Ask again until the answer is there, or fail when the time is over.
 *
 * @param what - Completes "timed out waiting for …".
 * @param probe - Anything but undefined and false is the answer; what it throws counts as "not yet".
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
    } catch (err: unknown) {
      if (err instanceof GivenUp) throw err;
      cause = err;
    }
    await delay(20);
  } while (performance.now() < deadline);
  throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}`, { cause });
}

/** Thrown by a probe that knows that the answer will never come. */
export class GivenUp extends Error {
  override readonly name = "GivenUp";
}
