import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, breaksAfter, holds } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";
import { leaver, stageFetches, stored, Taker, takeAll, verified } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const mib = 1024 * 1024;
const big = blobOf("scattered reads", collectBytes + 4 * mib);
const size = big.bytes.length;
const stays = new AbortController().signal;
const part = (start: number, end: number) => digestOf(big.bytes.subarray(start, end));

/** A source that says how much it has brought. */
function counted() {
  const inner = verified(holds(big));
  const source = { ...inner, broughtBytes: 0 };
  source.open = async (blob, from, signal) => {
    const { sizeBytes, chunks } = await inner.open(blob, from, signal);
    async function* counting() {
      let at = from.offset;
      for await (const piece of chunks) {
        const bytes = piece.subarray(0, (from.end ?? size) - at);
        if (bytes.length === 0) return;
        at += bytes.length;
        source.broughtBytes += bytes.length;
        yield bytes;
      }
    }
    return { sizeBytes, chunks: counting() };
  };
  return source;
}

test("parts of less than half of a blob start no fetch of it", async () => {
  const { fetches, store } = stageFetches();
  const source = counted();
  for (const start of [size - 1_000, 0, 3 * mib, 3 * mib]) {
    const range = { start, end: start + 1_000 };
    const read = await fetches.readRange(big.ref, range, [source], stays);
    expect((await takeAll(read!)).digest).toBe(part(start, start + 1_000));
  }
  expect([[...fetches.progress()], source.broughtBytes, store.openFiles]).toEqual([[], 4_000, 0]);
  await fetches.close();
  expect(store.spooledBytes).toBe(0);
});

test("parts of more than half of a blob, at once or one after the other, make it whole in the cache, and none is fetched twice", async () => {
  for (const isAtOnce of [true, false]) {
    const { fetches, store } = stageFetches({ lingerMs: undefined });
    const source = counted();
    const starts = Array.from({ length: 12 }, (_, i) => i * mib).toReversed();
    const readOne = async (start: number) => {
      const read = (await fetches.readRange(big.ref, { start, end: start + mib }, [source], stays))!;
      expect((await takeAll(read)).digest).toBe(part(start, start + mib));
    };
    if (isAtOnce) await Promise.all(starts.map(readOne));
    else for (const start of starts) await readOne(start);
    await stored(store, big);
    expect(source.broughtBytes).toBe(size);
    await until("the parts to be forgotten", () => store.spooledBytes === 0);
  }
});

test("what no one has asked for is fetched in between, and who comes later reads the fetch", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const source = counted();
  for (const [start, end] of [
    [mib, 5 * mib],
    [6 * mib, 10 * mib],
  ] as const) {
    await takeAll((await fetches.readRange(big.ref, { start, end }, [source], stays))!);
  }
  const whole = await takeAll(await fetches.read(big.ref, [source], stays));
  expect([whole.digest, source.broughtBytes]).toEqual([big.ref.digest, size]);
  await stored(store, big);
});

test("the fetch of the whole does not wait for a part that its puller has left", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const [stalled, source] = [gated(big, "ndn", true), counted()];
  const gone = leaver();
  const range = { start: 0, end: 2 * mib };
  const left = new Taker((await fetches.readRange(big.ref, range, [stalled], gone.signal))!);
  stalled.allow(mib);
  await left.until(mib);
  await takeAll((await fetches.readRange(big.ref, { start: 2 * mib, end: 10 * mib }, [source], stays))!);
  await left.leave();
  await stored(store, big);
  expect(source.broughtBytes).toBe(size - mib);
});

test("without room for parts, or when a source breaks off in one, all of it is fetched all the same", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const [first, next] = [verified(breaksAfter(5 * mib, big)), holds(big, "upstream")];
  store.spool = async () => undefined;
  const range = { start: 0, end: 7 * mib };
  expect((await takeAll((await fetches.readRange(big.ref, range, [first, next], stays))!)).digest).toBe(
    part(0, 7 * mib),
  );
  expect([...fetches.progress()]).toEqual([]);
  const { fetches: others, store: another } = stageFetches({ lingerMs: undefined });
  expect((await takeAll((await others.readRange(big.ref, range, [first, next], stays))!)).digest).toBe(
    part(0, 7 * mib),
  );
  await stored(another, big);
});
