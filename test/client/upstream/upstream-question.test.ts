import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Upstream } from "#client/upstream/upstream.ts";
import { createAsk, isFailure, UpstreamSilent } from "#client/upstream/upstream-question.ts";
import { by } from "../puller.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Never answers. */
const silent: Upstream = {
  base: new URL("http://silent.test/"),
  ask: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")))),
  pass: async () => undefined,
};

function question(signal = new AbortController().signal) {
  return { ping: "/v2/", accept: undefined, puller: by(undefined), method: "HEAD", signal } as const;
}

/** Milliseconds that one question was waited for. */
async function waitedMs(ask: ReturnType<typeof createAsk>, inItsPlace: "cache" | "another request"): Promise<number> {
  const startedMs = performance.now();
  const answer = expect(ask(question(), inItsPlace)).rejects.toThrow(UpstreamSilent);
  await vi.advanceTimersToNextTimerAsync();
  await answer;
  return performance.now() - startedMs;
}

test("how long is waited depends on who can answer instead, and on whether it was in vain lately", async () => {
  const ask = createAsk(silent);
  expect(await waitedMs(ask, "another request")).toBe(10_000);
  for (let i = 0; i < 20; i++) expect(await waitedMs(ask, "cache")).toBe(1_000);
  vi.advanceTimersByTime(10_000);
  // Short waits do not prolong themselves: an upstream that needs 2 s is heard again.
  expect(await waitedMs(ask, "cache")).toBe(5_000);
  expect(await waitedMs(ask, "cache")).toBe(1_000);
});

test("with the cache in its place, a silent upstream keeps only the first puller waiting for long", async () => {
  const ask = createAsk(silent);
  for (const ms of [5_000, 1_000, 1_000]) expect(await waitedMs(ask, "cache")).toBe(ms);
});

test("where nothing else can answer, the upstream has all the time it wants, until the puller goes away", async () => {
  const ask = createAsk(silent);
  const gone = new AbortController();
  const answer = expect(ask(question(gone.signal), "none")).rejects.toThrow("the puller left");
  expect(vi.getTimerCount()).toBe(0);
  gone.abort(new Error("the puller left"));
  await answer;
});

test("429, and a 5xx that is no answer to the question, are failures", () => {
  const statuses = [200, 304, 401, 404, 429, 500, 501, 502, 503, 504, 505];
  expect(statuses.filter(isFailure)).toEqual([429, 500, 502, 503, 504]);
});
