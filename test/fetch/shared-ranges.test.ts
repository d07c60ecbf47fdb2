import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, holds, unavailable, wrongBytes } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { filesClosed, leaver, stageFetches, stored, Taker, takeAll, verified } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("shared ranges", collectBytes + 12_000_000);
const size = big.bytes.length;
const stays = new AbortController().signal;
const mib = 1024 * 1024;
const part = (start: number, end: number) => digestOf(big.bytes.subarray(start, end));

test("a closed range of a running fetch is given as it comes from the upstream, or from a source that verifies", async () => {
  for (const source of [gated(big), gated(big, "ndn", true)]) {
    const { fetches } = stageFetches();
    const whole = new Taker(await fetches.read(big.ref, [source], stays));
    expect(await fetches.followRange(big.ref, { start: 0, end: 100 }, stays)).toBeUndefined(); // not known yet whose bytes come
    source.allow(mib);
    await whole.until(mib);
    const range = (await fetches.followRange(big.ref, { start: 1_000, end: 2 * mib }, stays))!;
    expect(range).toMatchObject({ sizeBytes: size, source: "store", range: { start: 1_000, end: 2 * mib } });
    source.allow(3 * mib);
    expect(await takeAll(range)).toMatchObject({
      digest: part(1_000, 2 * mib),
      from: { store: 2 * mib - 1_000 },
    });
    source.allow(size);
    await whole.toEnd();
  }
});

test("a closed range is not given from bytes that are not verified, one that reaches the end is", async () => {
  const { fetches } = stageFetches();
  const source = gated(big, "ndn");
  const whole = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(mib);
  await whole.until(mib);
  expect(await fetches.followRange(big.ref, { start: 0, end: 100 }, stays)).toBeUndefined();
  const tail = new Taker((await fetches.followRange(big.ref, { start: 500_000, end: undefined }, stays))!);
  await tail.until(400_000);
  source.allow(size);
  expect((await tail.toEnd()).digest).toBe(part(500_000, size));
  await whole.toEnd();
});

test("a range far ahead of everything that is there is left to the upstream, one that continues what broke off is not", async () => {
  const { fetches, store } = stageFetches();
  const source = gated(big, "ndn", true);
  const far = { start: 9 * mib, end: 9 * mib + 100 };
  expect(await fetches.readRange(big.ref, far, [source], stays)).toBeUndefined();
  expect(await fetches.followRange(big.ref, far, stays)).toBeUndefined();
  await filesClosed(store);
  const writer = (await store.begin(big.ref.digest, size))!;
  await writer.write(big.bytes.subarray(0, 2 * mib));
  await writer.close(true);
  const read = (await fetches.readRange(big.ref, far, [source], stays))!;
  source.allow(size);
  expect((await takeAll(read)).digest).toBe(part(far.start, far.end));
});

test("a range that reaches the end of a wrong blob does not get its last bytes", async () => {
  const { fetches } = stageFetches();
  const whole = await fetches.read(big.ref, [wrongBytes(big, "ndn", 5)], stays);
  const tail = (await fetches.followRange(big.ref, { suffix: size - 8 }, stays))!;
  expect((await takeAll(tail)).error).toMatchObject({ name: "BlobCorrupt" });
  expect((await takeAll(whole)).error).toMatchObject({ name: "BlobCorrupt" });
});

test("a range waits for the digest when the fetch continues with a source that is not trusted", async () => {
  const { fetches } = stageFetches();
  const [source, next] = [gated(big), gated(big, "ndn")];
  const whole = new Taker(await fetches.read(big.ref, [source, next], stays));
  source.allow(mib);
  await whole.until(mib);
  const range = new Taker((await fetches.followRange(big.ref, { start: 0, end: 2 * mib }, stays))!);
  source.breakOff();
  next.allow(4 * mib);
  await whole.until(4 * mib);
  expect((await range.until(mib)).bytes).toBe(mib);
  const rest = range.toEnd();
  next.allow(size);
  expect((await rest).digest).toBe(part(0, 2 * mib));
  await whole.toEnd();
});

test("such a range breaks off when the disk fills up, and holds up no one", async () => {
  const { store, fetches } = stageFetches();
  const [source, next] = [gated(big), gated(big, "ndn")];
  const whole = new Taker(await fetches.read(big.ref, [source, next], stays));
  source.allow(mib);
  await whole.until(mib);
  const range = takeAll((await fetches.followRange(big.ref, { start: 0, end: 2 * mib }, stays))!);
  store.roomBytes = mib;
  source.breakOff();
  next.allow(size);
  expect((await whole.toEnd()).digest).toBe(big.ref.digest);
  expect((await range).error).toMatchObject({ name: "BlobUnavailable" });
});

test("a range far ahead of what is there is the upstream's", async () => {
  const { fetches } = stageFetches();
  const source = gated(big);
  const whole = new Taker(await fetches.read(big.ref, [source], stays));
  source.allow(mib);
  await whole.until(mib);
  expect(await fetches.followRange(big.ref, { start: 10 * mib, end: 11 * mib }, stays)).toBeUndefined();
  expect(await fetches.followRange(big.ref, { start: size, end: undefined }, stays)).toBeUndefined();
  expect(await fetches.followRange(blobOf("another", 5).ref, { start: 0, end: 1 }, stays)).toBeUndefined();
  source.allow(size);
  await whole.toEnd();
});

test("a range keeps a fetch running whose other readers have left, and cannot fetch by itself", async () => {
  const { store, fetches } = stageFetches();
  const source = gated(big);
  const gone = leaver();
  const whole = new Taker(await fetches.read(big.ref, [source], gone.signal));
  source.allow(mib);
  await whole.until(mib);
  const range = takeAll((await fetches.followRange(big.ref, { start: 0, end: 2 * mib }, stays))!);
  const broken = takeAll((await fetches.followRange(big.ref, { start: 0, end: 4 * mib }, stays))!);
  gone.leave();
  source.allow(2 * mib);
  expect((await range).digest).toBe(part(0, 2 * mib));
  source.breakOff();
  expect((await broken).error).toMatchObject({ name: "BlobUnavailable" });
  await filesClosed(store);
});

test("a range that begins a fetch continues from what is on disk", async () => {
  const { store, fetches } = stageFetches();
  store.partials.set(big.ref.digest, { bytes: Buffer.from(big.bytes), writtenBytes: 4 * mib });
  const source = verified(holds(big, "upstream"));
  const read = await fetches.readRange(big.ref, { start: 3 * mib, end: undefined }, [source], stays);
  expect(await takeAll(read!)).toMatchObject({
    digest: part(3 * mib, size),
    from: { store: mib, upstream: size - 4 * mib },
  });
  expect(source.openedAt).toEqual([4 * mib]);
  await stored(store, big);
});

test("a range starts no fetch from a first source whose pieces are not verified", async () => {
  const { store, fetches } = stageFetches();
  const [first, second] = [holds(big), verified(holds(big))];
  expect(await fetches.readRange(big.ref, { start: 0, end: 100 }, [first, second], stays)).toBeUndefined();
  expect([...fetches.progress()]).toEqual([]);
  expect([first.openedAt, second.openedAt, store.openFiles]).toEqual([[], [], 0]);
});

test("a range that cannot be satisfied, or has to be shared but cannot, starts nothing", async () => {
  const { store, fetches } = stageFetches();
  expect(
    await fetches.readRange(big.ref, { start: size, end: undefined }, [verified(holds(big))], stays),
  ).toBeUndefined();
  await filesClosed(store);
  store.isFull = true;
  const reads = [
    fetches.read(big.ref, [holds(big)], stays),
    fetches.readRange(big.ref, { start: 5, end: undefined }, [verified(unavailable())], stays),
  ] as const;
  expect(await reads[1]).toBeUndefined();
  expect((await takeAll(await reads[0])).digest).toBe(big.ref.digest);
});
