import { onTestFinished, vi } from "vitest";

/** Until the test is over, time passes for consumers only as `vi` advances it: no stall of the machine counts. */
export function holdTime(): void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  vi.advanceTimersByTime(1); // for a consumer, what was asked at 0 is not in flight
}
