import { afterEach, expect, test, vi } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, breaksAfter, holds, unavailable, wrongBytes } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";
import { filesClosed, leaver, stageFetches, stored, Taker, takeAll, verified } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("shared ranges", collectBytes + 12_000_000);
const size = big.bytes.length;

afterEach(() => void vi.useRealTimers());
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

test("a closed range of which no fetch runs is read by itself where each piece is verified, and starts none", async () => {
  const { fetches, store } = stageFetches();
  const source = verified(holds(big));
  const far = { start: 9 * mib, end: 9 * mib + 100 };
  const read = (await fetches.readRange(big.ref, far, [source], stays))!;
  expect(read).toMatchObject({ sizeBytes: size, source: "ndn", isFollower: false, range: far });
  expect((await takeAll(read)).digest).toBe(part(far.start, far.end));
  const last = (await fetches.readRange(big.ref, { suffix: 50 }, [source], stays))!;
  expect((await takeAll(last)).digest).toBe(part(size - 50, size));
  expect([[...fetches.progress()], store.openFiles]).toEqual([[], 0]);
});

test("a part that breaks off continues from the next source at its byte; one that no source begins is the upstream's", async () => {
  const { fetches } = stageFetches();
  const [first, next] = [verified(breaksAfter(5 * mib, big)), holds(big, "upstream")];
  const range = { start: 4 * mib, end: 6 * mib };
  const read = (await fetches.readRange(big.ref, range, [first, next], stays))!;
  expect(await takeAll(read)).toMatchObject({ digest: part(4 * mib, 6 * mib), from: { ndn: mib, upstream: mib } });
  expect([first.openedAt, next.openedAt]).toEqual([[4 * mib], [5 * mib]]);
  expect(await fetches.readRange(big.ref, range, [verified(unavailable())], stays)).toBeUndefined();
});

test("a range to the end reads the blob, verified or not: it starts the fetch that others share, and the store keeps", async () => {
  const { fetches, store } = stageFetches();
  const source = gated(big, "ndn");
  const opened = fetches.readRange(big.ref, { start: 9 * mib, end: undefined }, [source], stays);
  source.allow(1);
  const [tail, whole] = [(await opened)!, await fetches.read(big.ref, [unavailable()], stays)];
  source.allow(size);
  const [gotTail, gotWhole] = await Promise.all([takeAll(tail), takeAll(whole)]);
  expect([gotTail.digest, gotWhole.digest]).toEqual([part(9 * mib, size), big.ref.digest]);
  expect(source.openedAt).toEqual([0]);
  await stored(store, big);
});

test("a range to the end that begins far ahead of what is there is read by itself, or the upstream's, unless no one else has it", async () => {
  const { fetches, store } = stageFetches();
  const range = { start: 65 * mib, end: undefined };
  const huge = { ref: big.ref, bytes: Buffer.alloc(66 * mib) }; // of which the digest is not wanted
  expect(await fetches.readRange(huge.ref, range, [holds(huge)], stays)).toBeUndefined();
  const alone = (await fetches.readRange(huge.ref, range, [verified(holds(huge))], stays))!;
  expect(await takeAll(alone)).toMatchObject({ bytes: mib });
  expect([[...fetches.progress()], store.openFiles]).toEqual([[], 0]);
  const patient = { blob: big.ref, sources: [holds(big)], range: { start: 100, end: 200 }, isLastResort: true };
  expect((await takeAll((await fetches.fetch(patient, stays))!)).digest).toBe(part(100, 200));
});

/** A fetch that its only reader has left when so many bytes were stored; from then on time stands still. */
async function leftAfter(allowed: number) {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const [source, gone] = [gated(big, "ndn"), leaver()];
  const opened = fetches.readRange(big.ref, { start: 0, end: undefined }, [source], gone.signal);
  source.allow(allowed);
  await new Taker((await opened)!).until(1);
  await until("the bytes to be stored", () => store.writes.reduce((sum, bytes) => sum + bytes, 0) === allowed);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  gone.leave();
  return { store, source };
}

test("a fetch that all readers have left continues for 10 s, and to its end when more than half is stored", async () => {
  for (const allowed of [collectBytes + mib, Math.ceil(size * 0.6)]) {
    const { store, source } = await leftAfter(allowed);
    vi.advanceTimersByTime(9_999);
    expect(source.signals[0]!.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    const isKept = allowed > size / 2;
    expect(source.signals[0]!.aborted).toBe(!isKept);
    source.allow(size);
    await (isKept ? stored(store, big) : filesClosed(store));
  }
});

test("a fetch that all readers have left ends when nothing comes for 10 s, also when more than half is stored", async () => {
  const { store, source } = await leftAfter(Math.ceil(size * 0.6));
  vi.advanceTimersByTime(19_999);
  expect(source.signals[0]!.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  vi.useRealTimers();
  expect(source.signals[0]!.aborted).toBe(true);
  await filesClosed(store);
});

test("what comes for one that has left counts as fetched for the first who takes it", async () => {
  const { fetches } = stageFetches({ lingerMs: 60_000 });
  const source = gated(big, "ndn");
  const gone = leaver();
  const opened = fetches.readRange(big.ref, { start: 0, end: undefined }, [source], gone.signal);
  source.allow(1);
  await opened;
  gone.leave();
  const parts = [0, 5 * mib, 10 * mib].map((start) =>
    fetches.readRange(big.ref, { start, end: undefined }, [source], stays),
  );
  const readers = (await Promise.all(parts)).map((read) => new Taker(read!));
  source.allow(size);
  await Promise.all(readers.map((reader) => reader.until(5 * mib)));
  await Promise.all(readers.map((reader) => reader.toEnd()));
  const from = (name: string) => readers.reduce((sum, { got }) => sum + (got.from[name] ?? 0), 0);
  expect(from("ndn")).toBe(size);
  expect(from("store")).toBe(2 * size - 15 * mib);
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

test("a range that cannot be satisfied tells the size, and one that has to be shared but cannot starts nothing", async () => {
  const { store, fetches } = stageFetches();
  const beyond = leaver();
  for (const range of [
    { start: size, end: undefined },
    { start: size + 5, end: size + 9 },
  ]) {
    const read = await fetches.readRange(big.ref, range, [verified(holds(big))], beyond.signal);
    expect(read).toMatchObject({ sizeBytes: size, range: { start: size, end: size } });
  }
  beyond.leave();
  await filesClosed(store);
  store.isFull = true;
  const reads = [
    fetches.read(big.ref, [holds(big)], stays),
    fetches.readRange(big.ref, { start: 5, end: undefined }, [verified(unavailable())], stays),
  ] as const;
  expect(await reads[1]).toBeUndefined();
  expect((await takeAll(await reads[0])).digest).toBe(big.ref.digest);
});
