import { expect, test } from "vitest";
import { BlobUnavailable } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, holds, wrongBytes } from "#test/blob/faulty-sources.ts";
import { filesClosed, leaver, stageFetches, Taker, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("shared faults", collectBytes + 3_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const mib = 1024 * 1024;
/** More than is in memory before the fetch notices that its first MiB is all that the disk takes. */
const beyondMemory = 6 * mib;

test("without room for the file each reader reads on its own", async () => {
  const { store, fetches } = stageFetches();
  store.isFull = true;
  const [one, two] = [holds(big), holds(big, "upstream")];
  const reads = await Promise.all([fetches.read(big.ref, [one], stays), fetches.read(big.ref, [two], stays)]);
  const all = await Promise.all(reads.map(takeAll));
  expect(all.map(({ digest, from }) => ({ digest, from }))).toEqual([
    { digest: big.ref.digest, from: { ndn: size } },
    { digest: big.ref.digest, from: { upstream: size } },
  ]);
  const late = holds(big);
  expect((await takeAll(await fetches.read(big.ref, [late], stays))).digest).toBe(big.ref.digest);
  expect(late.openedAt).toEqual([0]);
});

test("when the disk fills up in the middle all present readers still get everything, each at its own place", async () => {
  const { store, fetches, warnings } = stageFetches();
  store.roomBytes = 4 * mib;
  const source = gated(big);
  const readers = [];
  for (let i = 0; i < 4; i++) readers.push(new Taker(await fetches.read(big.ref, [source], stays)));
  source.allow(3 * mib);
  await Promise.all(readers.slice(0, 3).map((reader) => reader.until(3 * mib))); // the fourth has not begun
  source.allow(size);
  const all = await Promise.all(readers.map((reader) => reader.toEnd()));
  expect(all.map(({ digest }) => digest)).toEqual(Array(4).fill(big.ref.digest));
  expect(source.openedAt).toEqual([0]);
  await filesClosed(store);
  expect([store.blobs.size, store.partials.size, warnings.length]).toEqual([0, 0, 1]);
});

test("in broadcast a reader that leaves holds up no one, and newcomers read on their own", async () => {
  const { store, fetches } = stageFetches();
  store.roomBytes = mib;
  const source = gated(big);
  const gone = leaver();
  const stuck = new Taker(await fetches.read(big.ref, [source], gone.signal));
  const other = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(8 * mib);
  await Promise.all([stuck.until(beyondMemory), other.until(beyondMemory)]);
  const own = holds(big);
  const newcomer = await takeAll(await fetches.read(big.ref, [own], stays));
  expect([newcomer.digest, own.openedAt]).toEqual([big.ref.digest, [0]]);
  source.allow(size);
  const rest = other.toEnd();
  gone.leave();
  expect((await rest).digest).toBe(big.ref.digest);
  await filesClosed(store);
});

test("in broadcast the last one to leave cancels the fetch", async () => {
  const { store, fetches } = stageFetches();
  store.roomBytes = mib;
  const source = gated(big);
  const gone = leaver();
  const reader = new Taker(await fetches.read(big.ref, [source], gone.signal));
  source.allow(8 * mib);
  await reader.until(beyondMemory);
  gone.leave();
  expect(source.signals[0]!.aborted).toBe(true);
  await filesClosed(store);
  expect(store.partials.size).toBe(0);
});

test("a wrong digest in broadcast breaks everyone off before the last bytes", async () => {
  const { store, fetches } = stageFetches();
  store.roomBytes = 2 * mib;
  const reads = await Promise.all([1, 2].map(() => fetches.read(big.ref, [wrongBytes(big)], stays)));
  for (const { error, bytes } of await Promise.all(reads.map(takeAll))) {
    expect(error).toMatchObject({ name: "BlobCorrupt" });
    expect(bytes).toBeLessThan(size);
  }
  await filesClosed(store);
});

test("a partial that cannot be read to its end is continued from the source", async () => {
  const { store, fetches } = stageFetches();
  store.pieceBytes = 256 * 1024;
  store.readableBytes = mib;
  store.partials.set(big.ref.digest, { bytes: Buffer.from(big.bytes), writtenBytes: 2 * mib });
  const source = gated(big);
  const reader = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(size);
  const got = await reader.toEnd();
  expect(got).toMatchObject({ digest: big.ref.digest, from: { store: mib, upstream: size - mib } });
  expect(source.openedAt).toEqual([mib]);
  await filesClosed(store);
  expect(store.partials.size).toBe(0);
});

test("a file that its readers cannot read breaks them off, with a cause that the next attempt can repair", async () => {
  const { store, fetches } = stageFetches();
  store.readableBytes = mib;
  const behind = await fetches.read(big.ref, [holds(big)], stays);
  await takeAll(await fetches.read(big.ref, [holds(big)], stays)); // from memory
  const got = await takeAll(behind);
  expect(got.error).toBeInstanceOf(BlobUnavailable);
  await filesClosed(store);
});

test("an empty blob that one has had comes from the store, also while it is being stored", async () => {
  const { store, fetches } = stageFetches({ lingerMs: undefined });
  const empty = blobOf("nothing", 0);
  const stored = Promise.withResolvers<void>();
  const begin = store.begin.bind(store);
  store.begin = async (...of) => {
    const writer = (await begin(...of))!;
    return { ...writer, writtenBytes: 0, commit: () => stored.promise };
  };
  const [first, second] = [leaver(), leaver()];
  await takeAll(await fetches.read(empty.ref, [holds(empty)], first.signal));
  const next = await fetches.read(empty.ref, [holds(empty)], second.signal);
  expect(next).toMatchObject({ sizeBytes: 0, source: "store", isFollower: true });
  stored.resolve();
  await takeAll(next);
  await filesClosed(store);
});
