/** Readers that have caught up get their bytes from memory, and hold up no one with it. */
import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { BufferRing, bufferBytes } from "#fetch/buffer-ring.ts";
import { InFlightBlob } from "#fetch/in-flight-blob.ts";
import { blobOf, holds, unavailable } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { filesClosed, leaver, stageFetches, stored, Taker, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const small = blobOf("leased small", 300_000);
const big = blobOf("leased big", collectBytes + 5_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const bytesOf = (value: number, length: number) => Buffer.alloc(length, value);

test.each([
  ["small", small],
  ["big", big],
])("readers that keep up with a %s blob read nothing of it from the file", async (_, blob) => {
  const { store, fetches } = stageFetches();
  const source = gated(blob);
  source.allow(blob.bytes.length);
  const reads = await Promise.all([1, 2, 3].map(() => fetches.read(blob.ref, [source], stays)));
  const all = await Promise.all(reads.map(takeAll));
  expect(all.map(({ digest }) => digest)).toEqual(Array(3).fill(blob.ref.digest));
  await filesClosed(store);
  expect(store.reads).toEqual([]);
  expect(store.blobs.get(blob.ref.digest)?.equals(blob.bytes)).toBe(true);
});

test.each([
  ["small", small],
  ["big", big],
])("no one is served a %s blob to its end before all of it is in the file", async (_, blob) => {
  const { store, fetches } = stageFetches();
  const source = gated(blob);
  source.allow(blob.bytes.length);
  const read = await fetches.read(blob.ref, [source], stays);
  expect((await takeAll(read)).digest).toBe(blob.ref.digest);
  expect(store.writes.reduce((sum, bytes) => sum + bytes)).toBe(blob.bytes.length);
  await filesClosed(store);
  expect(store.has(blob.ref.digest)).toBe(true);
});

test("readers that stop with a leased piece hold up neither the fetch nor the others", async () => {
  const { store, fetches } = stageFetches();
  const source = gated(big);
  const stuck = [];
  const fast = new Taker(await fetches.read(big.ref, [source], stays));
  for (let at = 1; at <= 5; at++) {
    const reader = new Taker(await fetches.read(big.ref, [unavailable()], stays));
    source.allow(at * bufferBytes);
    await Promise.all([reader.until((at - 1) * bufferBytes + 1), fast.until(at * bufferBytes)]);
    stuck.push(reader);
  }
  source.allow(size);
  expect((await fast.toEnd()).digest).toBe(big.ref.digest);
  await stored(store, big);
  for (const reader of stuck) expect((await reader.toEnd()).digest).toBe(big.ref.digest);
  await filesClosed(store);
});

test("a piece of one who left with it never changes", async () => {
  const { store, fetches } = stageFetches();
  const source = gated(big);
  const gone = leaver();
  const left = (await fetches.read(big.ref, [source], gone.signal)).chunks[Symbol.asyncIterator]();
  const other = new Taker(await fetches.read(big.ref, [unavailable()], stays));
  source.allow(100_000);
  const { value } = await left.next();
  const { length } = value.bytes;
  gone.leave();
  await left.return?.();
  source.allow(size);
  expect((await other.toEnd()).digest).toBe(big.ref.digest);
  const again = await takeAll(await fetches.read(small.ref, [holds(small)], stays));
  expect(again.digest).toBe(small.ref.digest);
  await filesClosed(store);
  expect(Buffer.compare(value.bytes, big.bytes.subarray(0, length))).toBe(0);
});

test("when the disk refuses the bytes that a reader has leased, it does not get them again", async () => {
  const { store, fetches } = stageFetches();
  store.roomBytes = 0;
  const source = gated(big);
  const reader = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(50_000);
  await reader.until(1);
  await until("the disk to refuse them", () => store.refusedWrites > 0);
  source.allow(size);
  await until("no newcomer to be let in", async () => {
    const { signal, leave } = leaver();
    const newcomer = fetches.followRange(big.ref, { start: 0, end: undefined }, signal);
    leave();
    return (await newcomer) === undefined;
  });
  expect(await reader.toEnd()).toMatchObject({ bytes: size, digest: big.ref.digest });
  await filesClosed(store);
  expect([store.blobs.size, store.partials.size]).toEqual([0, 0]);
});

test("of what is leased nothing is read that is not released", async () => {
  const inFlight = new InFlightBlob(10, undefined, new Set());
  inFlight.leaser = { lease: (position) => ({ bytes: bytesOf(1, 10 - position), giveBack: () => {} }) };
  inFlight.hold(5);
  const reader = {
    position: 0,
    end: 10,
    hasLeft: false,
    isPart: false,
    failure: undefined,
    breakOff: () => {},
    leave: () => {},
  };
  const chunks = inFlight.read(reader, 0, 10, stays);
  expect((await chunks.next()).value.bytes.length).toBe(5);
  await chunks.return(undefined);
});

test("two buffers are never leased, and leased ones are not filled again", () => {
  const ring = new BufferRing(10, 100);
  const fill = (value: number) => {
    const taken = ring.append(bytesOf(value, 10));
    for (const { length } of ring.unwritten) ring.written(length);
    return taken;
  };
  const leases = [];
  for (let turn = 0; turn < 6; turn++) {
    expect(fill(turn)).toBe(10);
    leases.push(ring.lease(100 + 10 * turn + 3));
  }
  expect(leases.map((lease) => lease && [...lease.bytes])).toEqual([
    Array(7).fill(0),
    Array(7).fill(1),
    ...Array(4).fill(undefined),
  ]);
  leases[0]!.giveBack(true);
  expect(ring.lease(100 + 50)?.bytes.length).toBe(10);
});

test("with many fetches at once none keeps what is written for a reader, and what is leased stays as it is", () => {
  const few = new BufferRing(10, 0);
  few.append(bytesOf(0, 6));
  const lease = few.lease(0)!;
  const rings = Array.from({ length: 40 }, (_, value) => {
    const ring = new BufferRing(10, 0);
    ring.append(bytesOf(value, 6));
    return ring;
  });
  expect(rings.filter((ring) => ring.lease(1)).length).toBe(0); // they are read from the file
  for (const ring of [few, ...rings]) ring.written(6);
  expect(few.append(bytesOf(7, 4))).toBe(4);
  expect([...lease.bytes]).toEqual(Array(6).fill(0));
  lease.giveBack(true);
  for (const ring of [few, ...rings]) ring.close();
  expect(few.lease(6)).toBeUndefined();
});

test("without a lease at most two buffers wait to be written", () => {
  const ring = new BufferRing(10, 0);
  expect(ring.append(bytesOf(1, 25))).toBe(10);
  expect(ring.append(bytesOf(2, 15))).toBe(10);
  expect(ring.append(bytesOf(3, 5))).toBe(0);
  expect(ring.unwritten.map((bytes) => bytes.length)).toEqual([10, 10]);
  ring.written(4);
  expect(ring.append(bytesOf(3, 5))).toBe(0);
  ring.written(6);
  expect(ring.append(bytesOf(3, 5))).toBe(5);
  expect(ring.unwritten.map((bytes) => [...bytes])).toEqual([Array(10).fill(2), Array(5).fill(3)]);
  expect(ring.lease(5)).toBeUndefined();
});
