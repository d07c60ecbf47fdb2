import { afterEach, expect, test, vi } from "vitest";
import { type BlobSource, withOpen } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { ScatteredParts } from "#fetch/scattered-parts.ts";
import { blobOf, breaksAfter, holds } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { filesClosed, leaver, stageFetches, stored, takeAll, verified } from "./fetch-stage.ts";
import { silent } from "./gated-source.ts";

const mib = 1024 * 1024;
const big = blobOf("scattered faults", collectBytes + 4 * mib);
const size = big.bytes.length;
const stays = new AbortController().signal;

afterEach(() => void vi.useRealTimers());

/** `inner`, with every place from which bytes were asked. */
function watched(inner: BlobSource) {
  const openedAt: number[] = [];
  const source = withOpen(inner, (blob, from, signal) => {
    if (from.end !== from.offset) openedAt.push(from.offset);
    return inner.open(blob, from, signal);
  });
  return { source, openedAt };
}

test("a fetch of the whole that only parts have asked for ends when its sources fall silent, before and after the size is known", async () => {
  for (const breaksAt of [undefined, 9 * mib]) {
    const { fetches, store } = stageFetches({ lingerMs: undefined });
    const source = verified(breaksAfter(breaksAt ?? size, big));
    let opened = 0;
    const sources = [
      withOpen(source, (blob, from, signal) => {
        opened += 1;
        return breaksAt === undefined && opened > 1
          ? silent().open(blob, from, signal)
          : source.open(blob, from, signal);
      }),
      silent("upstream"),
    ];
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const read = (await fetches.readRange(big.ref, { start: mib, end: 8 * mib }, sources, stays))!;
    await takeAll(read);
    expect([...fetches.progress()]).toHaveLength(1);
    for (let i = 0; i < 100 && [...fetches.progress()].length > 0; i++) {
      await new Promise(setImmediate);
      await vi.advanceTimersByTimeAsync(10_000);
    }
    vi.useRealTimers();
    await until("the fetch to end", () => [...fetches.progress()].length === 0);
    await filesClosed(store);
  }
});

test("what readers of many tiny parts have taken does not cut the fetch of the whole into as many questions", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const { source, openedAt } = watched(verified(holds(big)));
  for (let start = 0; start < size; start += size / 64) {
    await takeAll((await fetches.readRange(big.ref, { start, end: start + 10 }, [source], stays))!);
  }
  openedAt.length = 0;
  await takeAll((await fetches.readRange(big.ref, { start: mib, end: 8 * mib }, [source], stays))!);
  await stored(store, big);
  expect(openedAt).toEqual([mib, 0, 8 * mib]);
});

test("a blob that is read in more than 10,000 tiny parts is not wanted whole, before larger ones are asked for", async () => {
  const { store } = stageFetches();
  const parts = new ScatteredParts(mib, (await store.spool())!);
  const keep = (start: number, end: number) => parts.keep({ range: { start, end }, chunks: none() }, stays);
  for (let start = 0; start < mib; start += 40) keep(start, start + 30);
  expect(parts.isMostlyAsked).toBe(false);
  keep(mib / 4, mib);
  expect(parts.isMostlyAsked).toBe(true);
});

async function* none() {}

test("of parts that overlap each byte is kept once", async () => {
  const { fetches, store } = stageFetches();
  const source = verified(holds(big));
  for (let start = 0; start < mib; start += 100_001) {
    await takeAll((await fetches.readRange(big.ref, { start, end: start + 2 * mib }, [source], stays))!);
  }
  expect(store.spooledBytes).toBe(2 * mib + 10 * 100_001);
  await fetches.close();
});

test("a part whose puller has left while it began is not waited for", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const source = verified(holds(big));
  const gone = leaver();
  const spool = store.spool.bind(store);
  store.spool = async () => {
    gone.leave();
    return spool();
  };
  const left = await fetches.readRange(big.ref, { start: 0, end: mib }, [source], gone.signal);
  expect(left).toMatchObject({ sizeBytes: size });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await takeAll((await fetches.readRange(big.ref, { start: mib, end: 9 * mib }, [source], stays))!);
  for (let i = 0; i < 1000 && !store.has(big.ref.digest); i++) await new Promise(setImmediate);
  expect(store.has(big.ref.digest)).toBe(true);
});

test("a suffix has the bytes that its place says, also when the second source knows another size", async () => {
  const { fetches } = stageFetches();
  const longer = verified(holds(blobOf("scattered faults", size + 100)));
  let asked = 0;
  const fickle = withOpen(longer, (...args) => (asked++ === 0 ? verified(holds(big)) : longer).open(...args));
  const read = (await fetches.readRange(big.ref, { suffix: 50 }, [fickle], stays))!;
  expect([read.sizeBytes, read.range, (await takeAll(read)).bytes]).toEqual([
    size + 100,
    { start: size - 50, end: size },
    50,
  ]);
});

test("a puller that leaves while its part begins starts no fetch, and fetches that are closed meanwhile keep nothing", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  const gone = leaver();
  const spool = store.spool.bind(store);
  const range = { start: 0, end: 9 * mib };
  store.spool = async () => {
    gone.leave();
    return spool();
  };
  await fetches.readRange(big.ref, range, [verified(holds(big))], gone.signal);
  expect([...fetches.progress()]).toEqual([]);
  await fetches.close();
  const { fetches: closed, store: another } = stageFetches();
  const open = another.spool.bind(another);
  let isKept = true;
  another.spool = async () => {
    await closed.close();
    const opened = (await open())!;
    const close = () => {
      isKept = false;
    };
    return { ...opened, close };
  };
  await closed.readRange(big.ref, { start: 0, end: mib }, [verified(holds(big))], stays);
  expect(isKept).toBe(false);
});

test("a fetch that its readers have left, and that no one can join for want of room, ends at once", async () => {
  const { fetches, store } = stageFetches({ lingerMs: undefined });
  store.isFull = true;
  const source = holds(big);
  const [asked, answered, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), leaver()];
  const late = withOpen(source, async (...args) => {
    asked.resolve();
    await answered.promise;
    return source.open(...args);
  });
  const left = fetches.read(big.ref, [late], gone.signal);
  await asked.promise;
  gone.leave();
  await expect(left).rejects.toThrow("the puller left");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  answered.resolve();
  for (let i = 0; i < 10 && source.signals.length === 0; i++) await new Promise(setImmediate);
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  expect([source.signals.map(({ aborted }) => aborted), [...fetches.progress()]]).toEqual([[true], []]);
});
