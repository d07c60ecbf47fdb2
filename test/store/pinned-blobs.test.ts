import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, openStore, readBlob, write } from "./opened-store.ts";

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const blobs = (seeds: string) => seeds.split("").map((seed) => blobOf(seed, 1_000));
type B = ReturnType<typeof blobOf>;

test("what is pinned is not evicted for what comes, nor by prune, until it is unpinned", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const { store } = opened;
  const [a, b, c] = blobs("abc") as [B, B, B];
  await store.pins.pin("image", [a.digest]);
  for (const blob of [a, b, c]) {
    await write(store, blob);
    await store.settled();
  }
  expect([a, b, c].map(({ digest }) => store.has(digest))).toEqual([true, false, true]);
  expect(store.list().map(({ isPinned }) => isPinned)).toEqual([true, false]);
  expect(await store.prune(0)).toEqual({ removed: 1, freedBytes: 1_000 });
  expect(await store.pins.unpin("image")).toBe(true);
  expect(await store.pins.unpin("image")).toBe(false);
  expect(await store.prune(0)).toEqual({ removed: 1, freedBytes: 1_000 });
});

test("a blob that is cached already is pinned, and free again when its name is pinned for another", async () => {
  await using opened = await openStore(folder.path);
  const { store } = opened;
  const [a, b] = blobs("ab") as [B, B];
  for (const blob of [a, b]) await write(store, blob);
  await store.settled();
  await store.pins.pin("image", [a.digest]);
  await store.pins.pin("other", [a.digest, b.digest]);
  await store.pins.pin("image", [b.digest]);
  await store.pins.unpin("other");
  await store.prune(0);
  expect([store.has(a.digest), store.has(b.digest)]).toEqual([false, true]);
});

test("no room is counted on that only a pinned blob could give, also while it is read", async () => {
  await using opened = await openStore(folder.path, 2_500);
  const { store } = opened;
  const [a] = blobs("a") as [B];
  await write(store, a);
  await store.settled();
  await store.pins.pin("image", [a.digest]);
  await readBlob(store, a.digest);
  expect(await store.begin(blobOf("large", 2_000).digest, 2_000)).toBeUndefined();
  const reading = (await store.open(a.digest))!;
  await store.pins.unpin("image");
  expect(await store.begin(blobOf("large", 2_000).digest, 2_000)).toBeUndefined();
  await reading.close();
  const writer = await store.begin(blobOf("large", 2_000).digest, 2_000);
  expect([writer !== undefined, store.has(a.digest)]).toEqual([true, false]);
  await writer!.close(false);
});

test("pins outlive a restart, also one with less room", async () => {
  const [a, b, c] = blobs("abc") as [B, B, B];
  {
    await using opened = await openStore(folder.path);
    for (const blob of [a, b, c]) await write(opened.store, blob);
    await opened.store.pins.pin("image", [a.digest]);
  }
  await using opened = await openStore(folder.path, 2_000);
  expect([a, b, c].map(({ digest }) => opened.store.has(digest))).toEqual([true, false, true]);
  expect(opened.store.pins.of("image")).toEqual([a.digest]);
});

test("a pinned blob can be deleted, and its bytes are free then", async () => {
  await using opened = await openStore(folder.path, 1_500);
  const { store } = opened;
  const [a, b] = blobs("ab") as [B, B];
  await store.pins.pin("image", [a.digest]);
  await write(store, a);
  await store.settled();
  expect(await store.delete(a.digest)).toBe(true);
  expect(store.usedBytes).toBe(0);
  await write(store, b);
  expect(store.has(b.digest)).toBe(true);
});

test.each(["{", '{"image": 1}', "[]"])(
  "a list of pins that is %s is moved aside, and none are pinned",
  async (text) => {
    await writeFile(join(folder.path, "pins.json"), text);
    await using opened = await openStore(folder.path);
    expect(opened.store.pins.names()).toEqual([]);
    expect(opened.warnings).toHaveLength(1);
    expect(await readFile(join(folder.path, "pins.json.damaged"), "utf8")).toBe(text);
  },
);

test("a thousand names may be pinned, and the next is refused", async () => {
  await using opened = await openStore(folder.path);
  const { pins } = opened.store;
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => pins.pin(`image ${n}`, [])));
  await expect(pins.pin("one more", [])).rejects.toThrow(/1000 images are pinned already/);
  await pins.pin("image 5", [blobOf("a", 1).digest]);
});
