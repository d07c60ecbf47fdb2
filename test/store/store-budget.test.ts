import { readdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hexOf } from "#oci/reference.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, collect, openStore, readBlob, write } from "./opened-store.ts";

let folder: TemporaryFolder;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
});

afterEach(() => folder[Symbol.asyncDispose]());

const blobs = (seeds: string) => seeds.split("").map((seed) => blobOf(seed, 1_000));

async function filesOnDisk(): Promise<number> {
  const sizes = ["blobs/sha256", "partial"].map(async (name) => {
    const path = join(folder.path, name);
    return Promise.all((await readdir(path)).map(async (file) => (await stat(join(path, file))).size));
  });
  return (await Promise.all(sizes)).flat().reduce((sum, size) => sum + size, 0);
}

test("what was used least recently goes first", async () => {
  await using opened = await openStore(folder.path, 3_500);
  const { store } = opened;
  const [a, b, c, d] = blobs("abcd") as [B, B, B, B];
  for (const blob of [a, b, c]) await write(store, blob);
  await store.settled(); // what is being synced stays
  await readBlob(store, a.digest);
  store.has(b.digest); // is no use
  await write(store, d);
  expect([a, b, c, d].map(({ digest }) => store.has(digest))).toEqual([true, false, true, true]);
  expect(opened.evicted).toEqual([1_000]);
});

test("the order of use outlives a restart, and a clock that was wrong", async () => {
  const [a, b, c, d] = blobs("abcd") as [B, B, B, B];
  {
    await using opened = await openStore(folder.path);
    for (const blob of [a, b, c, d]) await write(opened.store, blob);
    await opened.store.verify(); // is no use either
    for (const { digest } of [c, a, d, b]) await readBlob(opened.store, digest);
    await opened.store.close();
    for (const [nth, { digest }] of [c, a, d, b].entries()) {
      const { mtimeMs } = await stat(join(folder.path, "blobs/sha256", hexOf(digest)));
      await utimes(join(folder.path, "blobs/sha256", hexOf(digest)), mtimeMs / 1000, mtimeMs / 1000 + nth);
    }
  }
  await utimes(join(folder.path, "blobs/sha256", hexOf(d.digest)), 4e9, 4e9); // the year 2096
  await using opened = await openStore(folder.path, 2_000);
  expect(opened.store.list().map(({ digest }) => digest)).toEqual([a.digest, b.digest]);
  expect(await filesOnDisk()).toBe(2_000);
});

test("what is open is never evicted, and no room is made for what cannot fit beside it", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const { store } = opened;
  const [a, b, c] = blobs("abc") as [B, B, B];
  for (const blob of [a, b]) await write(store, blob);
  await store.settled();
  const cached = (await store.open(a.digest))!;
  expect(store.list().map(({ isOpen }) => isOpen)).toEqual([false, true]);
  expect(await store.begin(blobOf("large", 2_000).digest, 2_000)).toBeUndefined();
  expect(store.has(b.digest)).toBe(true);
  await write(store, c);
  await store.settled();
  expect([store.has(a.digest), store.has(b.digest)]).toEqual([true, false]);
  expect((await collect(cached.read(0, 1_000))).equals(a.bytes)).toBe(true);
  await cached.close();
  expect(await store.prune(0)).toEqual({ removed: 2, freedBytes: 2_000 });
});

test("what an operator prunes was not evicted: it is no sign of a cache that is too small", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const [a, b] = blobs("ab") as [B, B];
  for (const blob of [a, b]) await write(opened.store, blob);
  await opened.store.settled();
  expect(await opened.store.prune(1_000)).toEqual({ removed: 1, freedBytes: 1_000 });
  expect(opened.evicted).toEqual([]);
});

test("a blob larger than the budget is not stored, and nothing goes for its sake", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const [a] = blobs("a") as [B];
  await write(opened.store, a);
  expect(await opened.store.begin(blobOf("large", 2_501).digest, 2_501)).toBeUndefined();
  expect(opened.store.has(a.digest)).toBe(true);
});

test("running writers have their room, also before they have used it", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const { store } = opened;
  const [a, b, c] = blobs("abc") as [B, B, B];
  await write(store, a);
  await store.settled();
  const [first, second] = await Promise.all([store.begin(b.digest, 1_000), store.begin(c.digest, 1_000)]);
  expect([store.usedBytes, store.has(a.digest)]).toEqual([2_000, false]);
  expect(await store.begin(blobOf("d", 1_000).digest, 1_000)).toBeUndefined();
  await first!.close(true);
  await second!.close(true);
  expect(store.usedBytes).toBe(0);
});

test("what broke off goes before blobs, the oldest first", async () => {
  await using opened = await openStore(folder.path, 3_000);
  const { store } = opened;
  const [a, b, c] = blobs("abc") as [B, B, B];
  await write(store, a);
  for (const { digest, bytes } of [b, c]) {
    const writer = (await store.begin(digest, 1_000))!;
    await writer.write(bytes.subarray(0, 600));
    await writer.close(true);
  }
  expect(store.usedBytes).toBe(2_200);
  await write(store, blobOf("d", 1_400));
  await store.settled();
  expect([store.partial(b.digest), store.partial(c.digest), store.has(a.digest)]).toMatchObject([
    undefined,
    { writtenBytes: 600 },
    true,
  ]);
  expect(await filesOnDisk()).toBe(3_000);
});

test("many readers and writers at once keep the budget and get the right bytes", { timeout: 60_000 }, async () => {
  const maxBytes = 1_000_000;
  await using opened = await openStore(folder.path, maxBytes);
  const { store } = opened;
  const all = Array.from({ length: 40 }, (_, n) => blobOf(`many ${n}`, 20_000 + n * 3_000));
  let served = 0;
  const worker = async (first: number) => {
    for (let turn = 0; turn < 60; turn++) {
      const blob = all[(first * 7 + turn * 11) % all.length]!;
      const bytes = await readBlob(store, blob.digest);
      if (bytes && !bytes.equals(blob.bytes)) throw new Error("wrong bytes");
      if (bytes) served += 1;
      else if (turn % 5 === 0) await store.delete(blob.digest);
      else await write(store, blob).catch(ignoreBusy);
      if (store.usedBytes > maxBytes) throw new Error(`${store.usedBytes} bytes used`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, n) => worker(n)));
  expect(served).toBeGreaterThan(20);
  await store.settled();
  expect(await filesOnDisk()).toBe(store.usedBytes);
  expect(opened.failures).toEqual([]);
});

/** `begin` gives undefined while another worker writes the same blob. */
function ignoreBusy(err: unknown): void {
  if (!(err instanceof TypeError)) throw err;
}

type B = ReturnType<typeof blobOf>;
