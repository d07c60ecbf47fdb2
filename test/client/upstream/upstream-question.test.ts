import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Question, Upstream } from "#client/upstream/upstream.ts";
import { createAsk, isFailure, type OnLate, UpstreamSilent } from "#client/upstream/upstream-question.ts";
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

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Milliseconds that one question was waited for. */
async function waitedMs(
  ask: ReturnType<typeof createAsk>,
  inItsPlace: "cache" | "another request",
  onLate?: OnLate,
): Promise<number> {
  const startedMs = performance.now();
  let isAnswered = false;
  const answer = expect(ask(question(), inItsPlace, onLate)).rejects.toThrow(UpstreamSilent);
  void answer.finally(() => (isAnswered = true));
  while (!isAnswered) await vi.advanceTimersByTimeAsync(10);
  await answer;
  return performance.now() - startedMs;
}

test("how long is waited depends on who can answer instead", async () => {
  const ask = createAsk(silent);
  expect(await waitedMs(ask, "another request")).toBe(10_000);
  expect(await waitedMs(ask, "cache")).toBe(4_000);
  expect(await waitedMs(createAsk(silent, { withCacheMs: 500 }), "cache")).toBe(500);
});

test("with the cache in its place, an upstream that stays silent keeps pullers waiting for long only at first", async () => {
  const ask = createAsk(silent);
  for (let i = 0; i < 9; i++) expect(await waitedMs(ask, "cache")).toBe(4_000);
  for (let i = 0; i < 40; i++) expect(await waitedMs(ask, "cache")).toBe(1_000);
  expect(await waitedMs(createAsk(silent, { withCacheMs: 500 }), "cache")).toBe(500);
  await vi.advanceTimersByTimeAsync(61_000); // the last questions end, and then no one has asked for 30 s
  expect(await waitedMs(ask, "cache")).toBe(4_000);
});

test("an upstream that cannot be connected to is waited for less as soon as that is known", async () => {
  const unconnected = { ...silent, ask: () => delay(10_000).then(() => Promise.reject(new Error("no connection"))) };
  const ask = createAsk(unconnected);
  for (const ms of [4_000, 4_000, 4_000, 1_000, 1_000]) expect(await waitedMs(ask, "cache")).toBe(ms);
});

test("an upstream that is only slow is heard though the cache has answered, and keeps its time", async () => {
  let reply = { status: 200, headers: {}, body: Readable.from([]) };
  const ask = createAsk({ ...silent, ask: () => delay(6_000).then(() => reply) });
  const heard: unknown[] = [];
  for (let i = 0; i < 3; i++) expect(await waitedMs(ask, "cache", (late) => heard.push(late))).toBe(4_000);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(heard).toEqual([reply, reply, reply]);
  reply = { ...reply, status: 503 };
  expect(await waitedMs(ask, "cache")).toBe(4_000);
});

test("one that was silent and is heard again has its time again", async () => {
  let isBack = false;
  const reply = { status: 200, headers: {}, body: Readable.from([]) };
  const ask = createAsk({ ...silent, ask: (asked) => (isBack ? delay(2_000).then(() => reply) : silent.ask(asked)) });
  for (let i = 0; i < 9; i++) await waitedMs(ask, "cache");
  isBack = true;
  expect(await waitedMs(ask, "cache")).toBe(1_000);
  await vi.advanceTimersByTimeAsync(1_000);
  const answer = ask(question(), "cache");
  await vi.advanceTimersByTimeAsync(2_000);
  expect((await answer).status).toBe(200);
});

test("what is late is waited for half a minute, for 32 questions at a time, and only while its puller is there", async () => {
  const signals: AbortSignal[] = [];
  const counting = { ...silent, ask: (asked: Question) => signals.push(asked.signal) && silent.ask(asked) } as Upstream;
  const ask = createAsk(counting);
  const aborted = () => signals.filter((signal) => signal.aborted).length;
  const gone = new AbortController();
  const all = [gone.signal, ...Array.from({ length: 32 }, () => undefined)].map((signal) =>
    ask(question(signal), "cache"),
  );
  const ended = Promise.allSettled(all);
  await vi.advanceTimersByTimeAsync(4_000);
  await ended;
  expect(aborted()).toBe(1);
  gone.abort(new Error("the puller left"));
  expect(aborted()).toBe(2);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([aborted(), vi.getTimerCount()]).toEqual([33, 0]);
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
