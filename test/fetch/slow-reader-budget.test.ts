/** After the store has failed readers of one fetch wait for each other, but not for ever. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { BlobUnavailable } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { SlowReaderBudget } from "#fetch/broadcast-barrier.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { slowReaderBudgetMs, useBudgetClock } from "./budget-clock.ts";
import { filesClosed, stageFetches, Taker } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("slow reader", collectBytes + 3_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const mib = 1024 * 1024;
const clock = useBudgetClock();

/** Work on a chunk for so long, after those who do not work on it have taken it. */
async function work(ms: number): Promise<void> {
  await turn();
  vi.advanceTimersByTime(ms);
}

/** Readers of one fetch whose disk takes 1 MiB; the first one's sources are read. */
async function stageReaders(paces: readonly ((() => Promise<void>) | undefined)[]) {
  const { store, fetches } = stageFetches({ slowReaderBudgetMs });
  store.roomBytes = mib;
  const source = gated(big);
  const reads = await Promise.all(paces.map(() => fetches.read(big.ref, [source], stays)));
  return { store, source, reads, takers: reads.map((read, at) => new Taker(read, paces[at])) };
}

test.each([
  ["from whose sources it is fetched", 0],
  ["that only follows", 2],
])("a reader %s is broken off when it stands still, and the others get everything", async (_, stuck) => {
  const { store, source, reads, takers } = await stageReaders([undefined, undefined, undefined]);
  source.allow(100_000);
  await takers[stuck]!.until(1);
  source.allow(size);
  const others = takers.filter((_, at) => at !== stuck);
  const reading = Promise.all(others.map((taker) => taker.toEnd()));
  await clock.outwait(stuck);
  const all = await reading;
  expect(all.map(({ digest }) => digest)).toEqual([big.ref.digest, big.ref.digest]);
  expect(reads.map(({ brokenOff }) => brokenOff!.aborted)).toEqual([0, 1, 2].map((at) => at === stuck));
  const { error, bytes } = await takers[stuck]!.toEnd();
  expect(error).toBeInstanceOf(BlobUnavailable);
  expect(bytes).toBeLessThan(size);
  await filesClosed(store);
});

test("a reader that continues, but much more slowly than the others, is broken off as well", async () => {
  const { source, takers } = await stageReaders([undefined, () => work(1_000)]);
  source.allow(size);
  const [fast, slow] = await Promise.all(takers.map((taker) => taker.toEnd()));
  expect(fast!.digest).toBe(big.ref.digest);
  expect(slow!.error).toBeInstanceOf(BlobUnavailable);
});

test("one that no one waits for has all the time that it takes", async () => {
  const { source, takers } = await stageReaders([() => work(2 * slowReaderBudgetMs)]);
  source.allow(size);
  expect((await takers[0]!.toEnd()).digest).toBe(big.ref.digest);
});

test("what was given to a reader before it was broken off is followed by nothing else", async () => {
  const { source, reads, takers } = await stageReaders([undefined, undefined]);
  const stuck = reads[1]!.chunks[Symbol.asyncIterator]();
  let at = 0;
  const first = takers[0]!.toEnd();
  source.allow(size);
  while (at < 2 * mib) {
    const { value } = await stuck.next();
    expect(value.bytes.equals(big.bytes.subarray(at, at + value.bytes.length))).toBe(true);
    at += value.bytes.length;
  }
  await clock.outwait(1);
  expect((await first).digest).toBe(big.ref.digest);
  await expect(stuck.next()).rejects.toThrow(BlobUnavailable);
});

test("readers that are last in turn keep their budgets; one that is last two thirds of the time uses its own up", () => {
  const budget = new SlowReaderBudget<object>(1_000);
  const [a, b] = [{}, {}];
  const wait = (reader: object, ms: number) => {
    budget.waitFor(new Set([reader]), [a, b]);
    vi.advanceTimersByTime(ms);
  };
  for (let turn = 0; turn < 1_000; turn++) for (const reader of [a, b]) wait(reader, 100);
  budget.waitFor(new Set(), [a, b]);
  expect([budget.leftMs(a), budget.leftMs(b)]).toEqual([1_000, 900]);
  for (let turn = 0; turn < 11; turn++) {
    wait(a, 200);
    wait(b, 100);
  }
  budget.waitFor(new Set(), [a, b]);
  expect([budget.leftMs(a), budget.leftMs(b)]).toEqual([0, 900]);
});
