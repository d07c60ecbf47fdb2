import { expect, test } from "vitest";
import { createPrefetch, type PrefetchWish } from "#client/fetch-ahead.ts";
import { digestOfHash } from "#oci/reference.ts";

const wish = (n: number): PrefetchWish => ({
  repository: "team/app",
  digest: digestOfHash(Buffer.alloc(32, n)),
  sizeBytes: n,
  credential: undefined,
});

/** Fetches that end when the test says so. */
function controlled(options: { maxQueued?: number } = {}) {
  const begun: { wish: PrefetchWish; signal: AbortSignal; end: (err?: Error) => void }[] = [];
  const errors: unknown[] = [];
  const prefetch = createPrefetch({
    ...options,
    fetch: (wish, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      begun.push({ wish, signal, end: (err) => (err ? reject(err) : resolve()) });
      signal.addEventListener("abort", () => reject(signal.reason));
      return promise;
    },
    onError: (err) => errors.push(err),
  });
  return { prefetch, begun, errors, sizes: () => begun.map((one) => one.wish.sizeBytes) };
}

/** Lets everything happen that waits for nothing but its turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("two are fetched at a time, in the order of the wishes", async () => {
  const { prefetch, begun, sizes } = controlled();
  for (const n of [1, 2, 3, 4]) expect(prefetch.add(wish(n))).toBe(true);
  await turn();
  expect(sizes()).toEqual([1, 2]);
  begun[1]!.end();
  await turn();
  expect(sizes()).toEqual([1, 2, 3]);
  await prefetch.close();
});

test("a blob is in the queue once", async () => {
  const { prefetch, begun } = controlled();
  for (const n of [1, 2, 3]) prefetch.add(wish(n));
  await turn();
  for (const n of [1, 2, 3]) expect(prefetch.add(wish(n))).toBe(false);
  expect(prefetch.add({ ...wish(1), repository: "other" })).toBe(true);
  begun[0]!.end();
  await turn();
  expect(prefetch.add(wish(1))).toBe(true);
  await prefetch.close();
});

test("what does not fit into the queue is dropped", async () => {
  const { prefetch, sizes } = controlled({ maxQueued: 1 });
  expect([1, 2, 3, 4].map((n) => prefetch.add(wish(n)))).toEqual([true, true, true, false]);
  await turn();
  expect(sizes()).toEqual([1, 2]);
  await prefetch.close();
});

test("a fetch that fails is reported, and the next one begins", async () => {
  const { prefetch, begun, errors, sizes } = controlled();
  for (const n of [1, 2, 3]) prefetch.add(wish(n));
  await turn();
  begun[0]!.end(new Error("no"));
  await turn();
  expect(errors).toEqual([new Error("no")]);
  expect(sizes()).toEqual([1, 2, 3]);
  await prefetch.close();
});

test("closing aborts what runs and begins nothing more", async () => {
  const { prefetch, begun, errors, sizes } = controlled();
  for (const n of [1, 2, 3]) prefetch.add(wish(n));
  await turn();
  await prefetch.close();
  expect(begun.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  expect(prefetch.add(wish(4))).toBe(false);
  expect(sizes()).toEqual([1, 2]);
  expect(errors).toEqual([]);
});
