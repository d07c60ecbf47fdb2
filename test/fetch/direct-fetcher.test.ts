import { afterEach, beforeEach, expect, test } from "vitest";
import { withOpen } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { WindowBudget } from "#fetch/broadcast-window.ts";
import { createDirectFetcher, type Fetcher } from "#fetch/fetcher.ts";
import { noStore } from "#store/store-port.ts";
import { blobOf, holds, unavailable } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";
import { leaver, StagedFetches, Taker, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const blob = blobOf("direct", 300_000);
const size = blob.bytes.length;
const mib = 1024 * 1024;
const big = blobOf("direct ranges", collectBytes + 4 * mib);
const toEnd = (start: number) => ({ start, end: undefined });
const part = (start: number, end?: number) => digestOf(big.bytes.subarray(start, end));

/** Reads that have begun, less those that have ended. */
let running: number;
let changes: number[];
let fetcher: Fetcher;
let ranges: StagedFetches;

afterEach(() => ranges.close());

beforeEach(() => {
  [running, changes] = [0, []];
  ranges = new StagedFetches(noStore, { warn: () => {} }, undefined, { windows: new WindowBudget(mib, 1) });
  fetcher = createDirectFetcher(ranges, (change) => {
    running += change;
    changes.push(change);
  });
});

test("without a store each puller reads all of a blob from its own sources, and counts until its signal fires", async () => {
  const [one, two] = [holds(blob), holds(blob, "upstream")];
  const [first, second] = [leaver(), leaver()];
  const reads = await Promise.all([
    fetcher.fetch({ blob: blob.ref, sources: [unavailable(), one] }, first.signal),
    fetcher.fetch({ blob: blob.ref, sources: [two] }, second.signal),
  ]);
  expect(reads).toMatchObject([
    { sizeBytes: size, source: "ndn", isFollower: false, range: { start: 0, end: size } },
    { sizeBytes: size, source: "upstream", isFollower: false, range: { start: 0, end: size } },
  ]);
  for (const read of reads) expect(await takeAll(read!)).toMatchObject({ bytes: size, digest: blob.ref.digest });
  expect([one.openedAt, two.openedAt]).toEqual([[0], [0]]);
  expect(running).toBe(2);
  first.leave();
  expect(running).toBe(1);
  second.leave();
  expect(changes).toEqual([1, 1, -1, -1]);
});

test("without a store a part is read by itself where each piece is verified, and else the upstream's", async () => {
  const sources = [holds(blob)];
  const range = { start: 1_000, end: 2_000 };
  expect(await fetcher.fetch({ blob: blob.ref, sources, range }, leaver().signal)).toBeUndefined();
  expect(sources[0]!.openedAt).toEqual([]);
  const verified = [{ ...sources[0]!, isVerified: true }];
  const read = await fetcher.fetch({ blob: blob.ref, sources: verified, range }, leaver().signal);
  expect(read).toMatchObject({ sizeBytes: size, range, source: "ndn" });
  expect((await takeAll(read!)).digest).toBe(digestOf(blob.bytes.subarray(1_000, 2_000)));
  expect(sources[0]!.openedAt).toEqual([1_000]);
  expect(fetcher.areOthers).toBe(false);
});

test("without a store ranges to the end share one fetch, as far as one asks soon enough for what has passed", async () => {
  const source = gated(big, "ndn");
  const read = async (start: number, { signal } = leaver()) => {
    const got = await fetcher.fetch({ blob: big.ref, sources: [source], range: toEnd(start) }, signal);
    return got && new Taker(got);
  };
  // As containerd does: all of it, dropped, then from several places at once, each left when it has its part.
  const [first, parts] = [leaver(), [leaver(), leaver(), leaver()] as const];
  await read(0, first);
  first.leave();
  const readers = await Promise.all([read(0, parts[0]), read(4 * mib, parts[1]), read(8 * mib, parts[2])]);
  source.allow(collectBytes + 4 * mib);
  for (const [i, reader] of readers.entries()) {
    await reader!.until(4 * mib);
    parts[i]!.leave();
    if (i === 1) expect(await read(0)).toBeUndefined(); // gone from memory, and not verified one by one
  }
  // All has come by now, and what is kept of it is still there for those who ask late.
  await until("all to have come", () => [...ranges.progress()][0]?.releasedBytes === big.bytes.length);
  const last = (await read(11.5 * mib))!;
  expect((await last.toEnd()).digest).toBe(part(11.5 * mib));
  expect(source.openedAt).toEqual([0]);
});

test("a fetch in memory waits for its slowest reader, and one that no one reads for the next", async () => {
  const source = gated(big, "ndn");
  const [one, two] = [leaver(), leaver()];
  const open = (start: number, { signal }: { signal: AbortSignal }) =>
    fetcher.fetch({ blob: big.ref, sources: [source], range: toEnd(start) }, signal);
  const opened = open(0, one);
  source.allow(big.bytes.length);
  const slow = new Taker((await opened)!);
  await slow.until(1);
  const [progress] = [...ranges.progress()];
  expect(progress!.releasedBytes).toBeLessThan(3 * mib);
  one.leave();
  const next = new Taker((await open(progress!.releasedBytes, two))!);
  expect((await next.toEnd()).digest).toBe(part(progress!.releasedBytes));
  expect(source.openedAt).toEqual([0]);
});

test("with all windows in use another blob is not shared: its range is read by itself, or the upstream's", async () => {
  const [source, other] = [gated(big, "ndn"), blobOf("another", collectBytes + mib)];
  const { signal } = leaver();
  const opened = fetcher.fetch({ blob: big.ref, sources: [source], range: toEnd(0) }, signal);
  source.allow(big.bytes.length);
  const running = new Taker((await opened)!);
  await running.until(1);
  const verified = { ...holds(other), isVerified: true };
  const alone = (await fetcher.fetch({ blob: other.ref, sources: [verified], range: toEnd(5 * mib) }, signal))!;
  const follower = await fetcher.fetch({ blob: other.ref, sources: [holds(other)], range: toEnd(5 * mib) }, signal);
  expect(follower).toBeUndefined();
  expect((await takeAll(alone)).digest).toBe(digestOf(other.bytes.subarray(5 * mib)));
  expect((await running.toEnd()).digest).toBe(big.ref.digest);
  // Now that no one reads that one its memory is another's.
  const shared = (await fetcher.fetch({ blob: other.ref, sources: [holds(other)], range: toEnd(5 * mib) }, signal))!;
  expect((await takeAll(shared)).digest).toBe(digestOf(other.bytes.subarray(5 * mib)));
  expect([...ranges.progress()].map(({ digest }) => digest)).toEqual([other.ref.digest]);
});

test("the memory of a fetch whose readers have left before it was known to need any is another's at once", async () => {
  const [source, other] = [gated(big, "ndn"), blobOf("another", collectBytes + mib)];
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const late = withOpen(source, async (...args) => {
    asked.resolve();
    await answered.promise;
    return source.open(...args);
  });
  const { signal, leave } = leaver();
  const left = fetcher.fetch({ blob: big.ref, sources: [late], range: toEnd(0) }, signal);
  await asked.promise;
  leave();
  await expect(left).rejects.toThrow("the puller left");
  answered.resolve();
  await until("the size to be known", () => [...ranges.progress()][0]?.sizeBytes === big.bytes.length);
  const request = { blob: other.ref, sources: [holds(other)], range: toEnd(5 * mib) };
  const shared = (await fetcher.fetch(request, leaver().signal))!;
  expect((await takeAll(shared)).digest).toBe(digestOf(other.bytes.subarray(5 * mib)));
  expect([...ranges.progress()].map(({ digest }) => digest)).toEqual([other.ref.digest]);
});

test("a puller that leaves before the size is known ends its read, and one that has left begins none", async () => {
  const source = gated(blob);
  const { signal, leave } = leaver();
  const read = fetcher.fetch({ blob: blob.ref, sources: [source] }, signal);
  expect(running).toBe(1);
  leave();
  await expect(read).rejects.toThrow("the puller left");
  expect(source.signals.every(({ aborted }) => aborted)).toBe(true);
  await expect(fetcher.fetch({ blob: blob.ref, sources: [source] }, signal)).rejects.toThrow("the puller left");
  expect(changes).toEqual([1, -1]);
});

test("without a store a failed read counts until its signal fires, too", async () => {
  const { signal, leave } = leaver();
  const read = fetcher.fetch({ blob: blob.ref, sources: [unavailable()] }, signal);
  await expect(read).rejects.toMatchObject({ name: "BlobUnavailable" });
  expect(running).toBe(1);
  leave();
  expect(running).toBe(0);
});
