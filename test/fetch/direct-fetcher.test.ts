import { beforeEach, expect, test } from "vitest";
import { createDirectFetcher, type Fetcher } from "#fetch/fetcher.ts";
import { blobOf, holds, unavailable } from "#test/blob/faulty-sources.ts";
import { leaver, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const blob = blobOf("direct", 300_000);
const size = blob.bytes.length;

/** Reads that have begun, less those that have ended. */
let running: number;
let changes: number[];
let fetcher: Fetcher;

beforeEach(() => {
  [running, changes] = [0, []];
  fetcher = createDirectFetcher((change) => {
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

test("without a store a range is the upstream's: no source is asked, and nothing counted", async () => {
  const source = { ...holds(blob), isVerified: true };
  const range = { start: 0, end: 100 };
  expect(await fetcher.fetch({ blob: blob.ref, sources: [source], range }, leaver().signal)).toBeUndefined();
  expect(source.openedAt).toEqual([]);
  expect(changes).toEqual([]);
  expect(fetcher.areOthers).toBe(false);
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
