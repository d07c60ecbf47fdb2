/** After the store has failed readers of one fetch wait for each other, but not for ever. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { BlobUnavailable } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { Patience } from "#client/store/shared-fetch-patience.ts";
import { blobOf } from "#test/blob/villains.ts";
import { filesClosed, stageFetches, Taker } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("patience", collectBytes + 3_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const mib = 1024 * 1024;

afterEach(() => vi.restoreAllMocks());

/** Readers of one fetch whose disk takes 1 MiB; the first one's sources are read. */
async function stageReaders(patienceMs: number, paces: readonly ((() => Promise<void>) | undefined)[]) {
  const { store, fetches } = stageFetches({ patienceMs });
  store.roomBytes = mib;
  const source = gated(big);
  const reads = await Promise.all(paces.map(() => fetches.read(big.ref, [source], stays)));
  return { store, source, reads, takers: reads.map((read, at) => new Taker(read, paces[at])) };
}

test.each([
  ["from whose sources it is fetched", 0],
  ["that only follows", 2],
])("a reader %s is broken off when it stands still, and the others get everything", async (_, stuck) => {
  const { store, source, reads, takers } = await stageReaders(50, [undefined, undefined, undefined]);
  source.allow(100_000);
  await takers[stuck]!.until(1);
  source.allow(size);
  const others = takers.filter((_, at) => at !== stuck);
  const all = await Promise.all(others.map((taker) => taker.toEnd()));
  expect(all.map(({ digest }) => digest)).toEqual([big.ref.digest, big.ref.digest]);
  expect(reads.map(({ brokenOff }) => brokenOff!.aborted)).toEqual([0, 1, 2].map((at) => at === stuck));
  const { error, bytes } = await takers[stuck]!.toEnd();
  expect(error).toBeInstanceOf(BlobUnavailable);
  expect(bytes).toBeLessThan(size);
  await filesClosed(store);
});

test("a reader that goes on, but much more slowly than the others, is broken off as well", async () => {
  const { source, takers } = await stageReaders(100, [undefined, () => delay(20)]);
  source.allow(size);
  const [fast, slow] = await Promise.all(takers.map((taker) => taker.toEnd()));
  expect(fast!.digest).toBe(big.ref.digest);
  expect(slow!.error).toBeInstanceOf(BlobUnavailable);
});

test("one that nobody waits for has all the time that it takes", async () => {
  const { source, takers } = await stageReaders(0, [() => delay(1)]);
  source.allow(size);
  expect((await takers[0]!.toEnd()).digest).toBe(big.ref.digest);
});

test("what was handed to a reader before it was broken off is followed by nothing else", async () => {
  const { source, reads, takers } = await stageReaders(50, [undefined, undefined]);
  const stuck = reads[1]!.chunks[Symbol.asyncIterator]();
  let at = 0;
  const first = takers[0]!.toEnd();
  source.allow(size);
  while (at < 2 * mib) {
    const { value } = await stuck.next();
    expect(value.bytes.equals(big.bytes.subarray(at, at + value.bytes.length))).toBe(true);
    at += value.bytes.length;
  }
  expect((await first).digest).toBe(big.ref.digest);
  await expect(stuck.next()).rejects.toThrow(BlobUnavailable);
});

test("readers that are last in turn keep their patience with each other; of two thirds of the time it is used up", () => {
  let nowMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  const patience = new Patience<object>(1_000);
  const [a, b] = [{}, {}];
  const wait = (reader: object, ms: number) => {
    patience.waitFor(new Set([reader]), [a, b]);
    nowMs += ms;
  };
  for (let turn = 0; turn < 1_000; turn++) for (const reader of [a, b]) wait(reader, 100);
  patience.waitFor(new Set(), [a, b]);
  expect([patience.leftMs(a), patience.leftMs(b)]).toEqual([1_000, 900]);
  for (let turn = 0; turn < 11; turn++) {
    wait(a, 200);
    wait(b, 100);
  }
  patience.waitFor(new Set(), [a, b]);
  expect([patience.leftMs(a), patience.leftMs(b)]).toEqual([0, 900]);
});
