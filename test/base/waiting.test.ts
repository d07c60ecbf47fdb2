import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { raceAbort } from "#base/waiting.ts";

test("what comes before the abort is passed on, and nothing stays on the signal", async () => {
  const { signal } = new AbortController();
  expect(await raceAbort(Promise.resolve("done"), signal)).toBe("done");
  await expect(raceAbort(Promise.reject(new Error("broken")), signal)).rejects.toThrow("broken");
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("an abort ends the wait for work that never ends", async () => {
  const gone = new AbortController();
  const waiting = raceAbort(new Promise(() => {}), gone.signal);
  gone.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(getEventListeners(gone.signal, "abort")).toEqual([]);
});

test("a signal that has fired goes before work that is done, and a later failure of the work is no one's", async () => {
  const signal = AbortSignal.abort(new Error("gone"));
  await expect(raceAbort(Promise.resolve("done"), signal)).rejects.toThrow("gone");
  const work = Promise.withResolvers<never>();
  await expect(raceAbort(work.promise, signal)).rejects.toThrow("gone");
  work.reject(new Error("late")); // an unhandled rejection would fail the run
  await new Promise((resolve) => setImmediate(resolve));
});
