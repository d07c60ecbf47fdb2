import { expect, test } from "vitest";
import { BlobCorrupt, BlobUnavailable } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-source.ts";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, holds, unavailable, wrongBytes } from "#test/blob/faulty-sources.ts";
import { filesClosed, leaver, stageFetches, stored, Taker, takeAll } from "./fetch-stage.ts";
import { gated, silent } from "./gated-source.ts";

const small = blobOf("shared small", 200_000);
const big = blobOf("shared big", collectBytes + 1_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const mib = 1024 * 1024;
const denied = () => new UpstreamAnswer(401, {}, Buffer.from("denied"));

test.each([
  ["small", small],
  ["big", big],
  ["empty", blobOf("shared empty", 0)],
])("ten readers of a %s blob at once make one fetch, which stores it", async (_, blob) => {
  const { store, fetches } = stageFetches();
  const source = holds(blob, "upstream");
  const reads = await Promise.all(Array.from({ length: 10 }, () => fetches.read(blob.ref, [source], stays)));
  const all = await Promise.all(reads.map(takeAll));
  expect(source.openedAt).toEqual([0]);
  expect(all.map(({ digest }) => digest)).toEqual(Array(10).fill(blob.ref.digest));
  expect(reads.map(({ isFollower }) => isFollower)).toEqual([false, ...Array(9).fill(true)]);
  expect(reads.map(({ source: name }) => name)).toEqual(["upstream", ...Array(9).fill("store")]);
  const { length } = blob.bytes;
  if (length > 0)
    expect(all.map(({ from }) => from)).toEqual([{ upstream: length }, ...Array(9).fill({ store: length })]);
  await filesClosed(store);
  expect(store.blobs.get(blob.ref.digest)?.equals(blob.bytes)).toBe(true);
  expect([...fetches.progress()]).toEqual([]);
});

test("a slow reader does not hold up a fast one, nor the fetch", async () => {
  const { store, fetches } = stageFetches();
  const slow = new Taker(await fetches.read(big.ref, [holds(big)], stays));
  const fast = await takeAll(await fetches.read(big.ref, [unavailable()], stays));
  expect(fast.digest).toBe(big.ref.digest);
  expect(slow.got.bytes).toBe(0);
  expect(await slow.toEnd()).toMatchObject({ digest: big.ref.digest, from: { ndn: size } });
  await filesClosed(store);
});

test("a reader that comes late begins at the first byte and catches up", async () => {
  const { fetches } = stageFetches();
  const source = gated(big);
  const first = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(2 * mib);
  await first.until(2 * mib);
  const late = new Taker(await fetches.read(big.ref, [unavailable()], stays));
  await late.until(2 * mib);
  source.allow(size);
  expect((await late.toEnd()).digest).toBe(big.ref.digest);
  expect((await first.toEnd()).digest).toBe(big.ref.digest);
  expect(source.openedAt).toEqual([0]);
});

test("the one who began leaves, and the others get all of it", async () => {
  const { fetches } = stageFetches();
  const source = gated(big);
  const gone = leaver();
  const first = new Taker(await fetches.read(big.ref, [source], gone.signal));
  const follower = new Taker(await fetches.read(big.ref, [unavailable()], stays));
  source.allow(mib);
  await Promise.all([first.until(1), follower.until(1)]);
  gone.leave();
  expect((await first.toEnd()).error).toMatchObject({ message: "the puller left" });
  source.allow(size);
  expect((await follower.toEnd()).digest).toBe(big.ref.digest);
  expect(source.signals[0]!.aborted).toBe(false);
});

test("when all leave the fetch is cancelled, and the next one asks from the byte that is on disk", async () => {
  const { store, fetches } = stageFetches();
  const source = gated(big);
  const [one, two] = [leaver(), leaver()];
  const readers = [
    new Taker(await fetches.read(big.ref, [source], one.signal)),
    new Taker(await fetches.read(big.ref, [source], two.signal)),
  ];
  source.allow(3 * mib);
  await Promise.all(readers.map((reader) => reader.until(3 * mib)));
  one.leave();
  expect(source.signals[0]!.aborted).toBe(false);
  two.leave();
  expect(source.signals[0]!.aborted).toBe(true);
  // At once, while the first is still being cleared up.
  const next = holds(big, "upstream");
  const failures: string[] = [];
  const read = await fetches.read(big.ref, [next], stays, { unavailable: (name) => failures.push(name) });
  expect(read).toMatchObject({ sizeBytes: size, source: "store", isFollower: false });
  expect(await takeAll(read)).toMatchObject({
    digest: big.ref.digest,
    from: { store: 3 * mib, upstream: size - 3 * mib },
  });
  expect([next.openedAt, failures]).toEqual([[3 * mib], []]);
  await filesClosed(store);
  expect(store.writes.reduce((sum, bytes) => sum + bytes)).toBe(size);
  expect(store.has(big.ref.digest)).toBe(true);
});

test("one who leaves while nothing has answered yet leaves nothing behind", async () => {
  const { store, fetches } = stageFetches();
  const gone = leaver();
  const read = fetches.read(big.ref, [silent()], gone.signal);
  gone.leave();
  await expect(read).rejects.toThrow("the puller left");
  await fetches.close();
  expect([store.openFiles, [...fetches.progress()]]).toEqual([0, []]);
});

test("a wrong digest breaks everyone off before the last bytes, and nothing of it is kept", async () => {
  const { store, fetches } = stageFetches();
  const reads = await Promise.all([1, 2, 3].map(() => fetches.read(big.ref, [wrongBytes(big)], stays)));
  const all = await Promise.all(reads.map(takeAll));
  for (const { error, bytes } of all) {
    expect(error).toBeInstanceOf(BlobCorrupt);
    expect(bytes).toBeLessThan(size);
  }
  await filesClosed(store);
  expect([store.blobs.size, store.partials.size]).toEqual([0, 0]);
});

test("wrong bytes on disk are thrown away with what was fetched after them", async () => {
  const { store, fetches } = stageFetches();
  store.partials.set(big.ref.digest, { bytes: Buffer.alloc(size), writtenBytes: mib });
  const first = await takeAll(await fetches.read(big.ref, [holds(big)], stays));
  expect(first.error).toBeInstanceOf(BlobCorrupt);
  const again = await takeAll(await fetches.read(big.ref, [holds(big)], stays));
  expect(again).toMatchObject({ digest: big.ref.digest, from: { ndn: size } });
});

test("a small blob that comes wrong is replaced by the next source, for all readers", async () => {
  const { store, fetches } = stageFetches();
  store.partials.set(small.ref.digest, { bytes: Buffer.alloc(small.bytes.length), writtenBytes: 5_000 });
  const sources = [wrongBytes(small), holds(small, "upstream")];
  const reads = await Promise.all([1, 2].map(() => fetches.read(small.ref, sources, stays)));
  const all = await Promise.all(reads.map(takeAll));
  expect(all.map(({ digest }) => digest)).toEqual([small.ref.digest, small.ref.digest]);
  expect(all.map(({ from }) => Object.keys(from))).toEqual([["upstream"], ["store"]]);
  await filesClosed(store);
  expect(store.blobs.get(small.ref.digest)?.equals(small.bytes)).toBe(true);
});

test("a refused reader gets its refusal, one that follows is served with its own rights", async () => {
  const { fetches } = stageFetches();
  const refused = { name: "upstream", open: () => Promise.reject(denied()) } as const;
  const reads = await Promise.allSettled([
    fetches.read(big.ref, [refused], stays),
    fetches.read(big.ref, [refused], stays),
    fetches.read(big.ref, [holds(big, "upstream")], stays),
    fetches.read(big.ref, [refused], stays),
  ]);
  expect(reads.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled", "fulfilled"]);
  expect((reads[0] as PromiseRejectedResult).reason).toBeInstanceOf(UpstreamAnswer);
  const [, , right, late] = reads as PromiseFulfilledResult<Awaited<ReturnType<typeof fetches.read>>>[];
  const all = await Promise.all([takeAll(right!.value), takeAll(late!.value)]);
  expect(all.map(({ digest }) => digest)).toEqual([big.ref.digest, big.ref.digest]);
  expect(all[0]!.from).toEqual({ upstream: size });
});

test("when the sources stop in the middle, those of the next reader continue at the same byte, for both", async () => {
  const { store, fetches } = stageFetches();
  const [source, next] = [gated(big, "ndn"), holds(big, "upstream")];
  const first = new Taker(await fetches.read(big.ref, [source], stays));
  const follower = new Taker(await fetches.read(big.ref, [next], stays));
  source.allow(2 * mib);
  await Promise.all([first.until(2 * mib), follower.until(2 * mib)]);
  source.breakOff();
  const all = await Promise.all([first.toEnd(), follower.toEnd()]);
  expect(all.map(({ digest }) => digest)).toEqual([big.ref.digest, big.ref.digest]);
  expect(all.map(({ from }) => from)).toEqual([
    { ndn: 2 * mib, store: size - 2 * mib },
    { store: 2 * mib, upstream: size - 2 * mib },
  ]);
  expect(next.openedAt).toEqual([2 * mib]);
  await stored(store, big);
});

test("when no one's sources continue, each reader gets its own failure only, and the bytes stay", async () => {
  const { store, fetches } = stageFetches();
  const [source, other] = [gated(big), gated(big)];
  const first = new Taker(await fetches.read(big.ref, [source], stays));
  const follower = new Taker(await fetches.read(big.ref, [other], stays));
  source.allow(mib);
  await Promise.all([first.until(mib), follower.until(mib)]);
  source.breakOff(denied());
  other.breakOff(new BlobUnavailable("another reason"));
  const all = await Promise.all([first.toEnd(), follower.toEnd()]);
  expect(all[0]!.error).toBeInstanceOf(UpstreamAnswer);
  expect(all[1]!.error).toMatchObject({ message: expect.stringContaining("every source stopped") });
  await filesClosed(store);
  expect(store.partial(big.ref.digest)).toEqual({ sizeBytes: size, writtenBytes: mib });
});

test("a source that claims another size than its successor breaks off, and never completes", async () => {
  const { store, fetches } = stageFetches();
  for (const claimed of [size - 300_000, size + 300_000]) {
    const liar = gated(big, "ndn");
    const open: typeof liar.open = async (...args) => ({ ...(await liar.open(...args)), sizeBytes: claimed });
    const read = await fetches.read(big.ref, [{ name: "ndn", open }, holds(big, "upstream")], stays);
    liar.breakOff();
    expect((await takeAll(read)).error).toBeInstanceOf(BlobCorrupt);
    await filesClosed(store);
    expect([store.blobs.size, store.partials.size]).toEqual([0, 0]);
  }
});

test("a blob that came into the store since the caller looked is not fetched", async () => {
  const { store, fetches } = stageFetches();
  await store.put(big.ref.digest, big.bytes);
  const source = holds(big);
  const read = await fetches.read(big.ref, [source], stays);
  expect(read).toMatchObject({ source: "store", isFollower: true });
  expect((await takeAll(read)).digest).toBe(big.ref.digest);
  expect(source.openedAt).toEqual([]);
  await filesClosed(store);
});

test("close breaks off what runs and keeps the bytes", async () => {
  const { store, fetches } = stageFetches();
  const source = gated(big);
  const reader = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(mib);
  await reader.until(mib);
  expect([...fetches.progress()]).toEqual([
    { digest: big.ref.digest, sizeBytes: size, releasedBytes: mib, readers: 1 },
  ]);
  await fetches.close();
  expect(store.openFiles).toBe(0);
  expect(store.partial(big.ref.digest)?.writtenBytes).toBe(mib);
  expect((await reader.toEnd()).error).toBeInstanceOf(BlobUnavailable);
});
