import { getEventListeners } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { following, withTimeout } from "#base/abort.ts";

afterEach(() => void vi.useRealTimers());

test("a follower is aborted with the first of its signals, for the same reason, and none of them with it", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const own = following(first.signal, second.signal);
  const other = following(first.signal);
  other.abort(new Error("its own"));
  expect([own.signal.aborted, first.signal.aborted]).toEqual([false, false]);
  second.abort("enough");
  expect(own.signal.reason).toBe("enough");
  first.abort("later");
  expect(own.signal.reason).toBe("enough");
});

test("a follower of what is aborted already is aborted", () => {
  expect(following(new AbortController().signal, AbortSignal.abort("before")).signal.reason).toBe("before");
});

test("work is told when its time is up, or the caller's signal fires", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const caller = new AbortController();
  const late = expect(withTimeout(1_000, caller.signal, untilAborted)).rejects.toThrow("1000 ms are over");
  await vi.advanceTimersByTimeAsync(1_000);
  await late;
  const gone = expect(withTimeout(1_000, caller.signal, untilAborted)).rejects.toThrow("gone");
  caller.abort(new Error("gone"));
  await gone;
  expect(vi.getTimerCount()).toBe(0);
});

test("nothing is left of a time limit when the work is done", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { signal } = new AbortController();
  const isAborted = vi.fn();
  const answer = await withTimeout(30_000, signal, async (own) => {
    own.addEventListener("abort", isAborted);
    return "answer";
  });
  expect([answer, vi.getTimerCount(), getEventListeners(signal, "abort").length]).toEqual(["answer", 0, 0]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isAborted).not.toHaveBeenCalled();
});
