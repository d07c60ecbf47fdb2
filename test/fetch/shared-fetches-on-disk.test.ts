import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import pino from "pino";
import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { hexOf } from "#oci/reference.ts";
import { BlobStore } from "#store/blob-store.ts";
import { blobOf, holds } from "#test/blob/faulty-sources.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { leaver, StagedFetches, Taker, takeAll } from "./fetch-stage.ts";
import { gated } from "./gated-source.ts";

const big = blobOf("shared on disk", collectBytes + 2_000_000);
const size = big.bytes.length;
const log = pino({ level: "silent" });
const stays = new AbortController().signal;

test("a fetch that a restart cut off continues from the bytes on disk, and its readers share the file", async () => {
  await using folder = await makeTemporaryFolder();
  const options = { directory: folder.path, maxBytes: 100_000_000, log };
  const before = await BlobStore.open(options);
  const cut = new StagedFetches(before, log);
  const source = gated(big);
  const { signal, leave } = leaver();
  const first = new Taker(await cut.read(big.ref, [source], signal));
  source.allow(3_000_000);
  await first.until(3_000_000);
  await cut.close();
  leave();
  await before.close();

  const store = await BlobStore.open(options);
  const fetches = new StagedFetches(store, log);
  const rest = holds(big, "upstream");
  const reads = await Promise.all([1, 2, 3].map(() => fetches.read(big.ref, [rest], stays)));
  const all = await Promise.all(reads.map(takeAll));
  expect(all.map(({ digest }) => digest)).toEqual(Array(3).fill(big.ref.digest));
  expect(all[0]!.from).toEqual({ store: 3_000_000, upstream: size - 3_000_000 });
  expect(rest.openedAt).toEqual([3_000_000]);
  await until("the blob to be cached", () => store.has(big.ref.digest));
  await fetches.close();
  await store.close();
  expect((await readFile(join(folder.path, "blobs/sha256", hexOf(big.ref.digest)))).equals(big.bytes)).toBe(true);
});

test.each([
  ["small", blobOf("shared on disk, small", 10_000)],
  ["big", big],
])("a reader that was served a %s blob whole finds it in the store when it asks again", async (_, blob) => {
  await using folder = await makeTemporaryFolder();
  const store = await BlobStore.open({ directory: folder.path, maxBytes: 100_000_000, log });
  const fetches = new StagedFetches(store, log);
  await takeAll(await fetches.read(blob.ref, [holds(blob)], stays));
  await setImmediate(); // no request is read from a socket before that
  expect(store.has(blob.ref.digest)).toBe(true);
  await fetches.close();
  await store.close();
});
