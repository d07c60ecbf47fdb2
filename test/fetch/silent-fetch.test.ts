/** A fetch whose source has fallen silent is for those who wait for it already. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, holds } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { leaver, stageFetches, stored, Taker, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("silent", collectBytes + 4_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const allowed = collectBytes + 1_000_000;
let skippedMs = 0;

beforeEach(() => {
  skippedMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + skippedMs);
});
afterEach(() => void vi.restoreAllMocks());

/** Fetches of which one has stored so much and then fallen silent, with its reader. */
async function stageSilence(silentMs = 15_001) {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const [silent, first] = [gated(big), leaver()];
  const opened = fetches.read(big.ref, [silent], first.signal);
  silent.allow(allowed);
  const taker = new Taker(await opened);
  await taker.until(1);
  await until("the bytes to be stored", () => store.writes.reduce((sum, bytes) => sum + bytes, 0) === allowed);
  skippedMs = silentMs;
  return { fetches, store, silent, first, taker };
}

test("one who comes later reads on its own while others wait for a silent source", async () => {
  const { fetches, store, silent, taker } = await stageSilence();
  const own = holds(big, "upstream");
  const got = await takeAll(await fetches.read(big.ref, [own], stays));
  expect([got.digest, got.from]).toEqual([big.ref.digest, { upstream: size }]);
  expect(silent.signals[0]!.aborted).toBe(false);
  silent.allow(size);
  expect((await taker.toEnd()).digest).toBe(big.ref.digest);
  await stored(store, big);
});

test("a fetch that is silent for 2 s and has no readers is begun anew from where it is, by one who comes", async () => {
  const { fetches, store, silent, first } = await stageSilence(2_001);
  first.leave();
  const own = holds(big, "upstream");
  const got = await takeAll(await fetches.read(big.ref, [own], stays));
  expect(got.digest).toBe(big.ref.digest);
  expect(own.openedAt).toEqual([allowed]);
  expect(silent.signals[0]!.aborted).toBe(true);
  await stored(store, big);
});

test("a fetch that has begun long ago, and of which something comes, is followed", async () => {
  const { fetches, store, silent, taker } = await stageSilence();
  silent.allow(allowed + 1000);
  await taker.until(allowed + 1000);
  const own = holds(big, "upstream");
  const got = fetches.read(big.ref, [own], stays).then(takeAll);
  silent.allow(size);
  expect([(await got).digest, own.openedAt]).toEqual([big.ref.digest, []]);
  await taker.toEnd();
  await stored(store, big);
});
