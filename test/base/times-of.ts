import { vi } from "vitest";

/** When each of the promises is fulfilled, in milliseconds from now, as the clock runs. */
export async function timesOf(work: Promise<unknown>[], untilMs: number): Promise<number[]> {
  const times: number[] = [];
  const began = performance.now();
  for (const each of work) each.then(() => times.push(performance.now() - began)).catch(() => {});
  await vi.advanceTimersByTimeAsync(untilMs);
  return times;
}
