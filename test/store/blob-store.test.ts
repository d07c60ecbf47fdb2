import { readdir, readFile, rm, stat, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hexOf } from "#oci/reference.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, collect, openStore, readBlob, write } from "./opened-store.ts";

let folder: TemporaryFolder;
let directory: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  directory = join(folder.path, "cache");
});

afterEach(() => folder[Symbol.asyncDispose]());

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const blobPath = (digest: ReturnType<typeof blobOf>["digest"]) => join(directory, "blobs/sha256", hexOf(digest));

describe("a blob", () => {
  test("is read as it was written, whole and in ranges", async () => {
    await using opened = await openStore(directory);
    const blob = blobOf("a", 1_000_003);
    await write(opened.store, blob);
    expect((await readBlob(opened.store, blob.digest))!.equals(blob.bytes)).toBe(true);
    const cached = (await opened.store.open(blob.digest))!;
    for (const [start, end] of [
      [0, 1],
      [262_143, 262_145],
      [10, 900_000],
      [1_000_003, 1_000_003],
    ] as const) {
      expect((await collect(cached.read(start, end))).equals(blob.bytes.subarray(start, end))).toBe(true);
    }
    expect(() => cached.read(0, 1_000_004)).toThrow(RangeError);
    await cached.close();
    await expect(collect(cached.read(0, 10))).rejects.toThrow("closed");
  });

  test("is there after a restart, in a layout that other tools read, for this user only", async () => {
    const blob = blobOf("a", 70_000);
    {
      await using opened = await openStore(directory);
      await write(opened.store, blob);
    }
    await using opened = await openStore(directory);
    expect((await readBlob(opened.store, blob.digest))!.equals(blob.bytes)).toBe(true);
    expect(JSON.parse(await readFile(join(directory, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
    expect(JSON.parse(await readFile(join(directory, "index.json"), "utf8"))).toMatchObject({ schemaVersion: 2 });
    expect((await readFile(blobPath(blob.digest))).equals(blob.bytes)).toBe(true);
    expect(await Promise.all(["", "blobs", "partial"].map((path) => modeOf(join(directory, path))))).toEqual([
      0o700, 0o700, 0o700,
    ]);
    expect(await modeOf(blobPath(blob.digest))).toBe(0o600);
  });

  test("of no bytes is a blob", async () => {
    await using opened = await openStore(directory);
    const blob = blobOf("", 0);
    await write(opened.store, blob);
    expect(await readBlob(opened.store, blob.digest)).toEqual(Buffer.alloc(0));
    expect(opened.store.has(blob.digest)).toBe(true);
  });

  test("is seen by no one before commit, and at once after it", async () => {
    await using opened = await openStore(directory);
    const { store } = opened;
    const { bytes, digest } = blobOf("a", 100_000);
    const writer = (await store.begin(digest, bytes.length))!;
    await writer.write(bytes.subarray(0, 60_000));
    expect(await store.open(digest)).toBeUndefined();
    expect(await store.begin(digest, bytes.length)).toBeUndefined();
    expect((await collect(writer.read(5, 60_000))).equals(bytes.subarray(5, 60_000))).toBe(true);
    await expect(writer.commit()).rejects.toThrow("not 60000");
    await writer.write(bytes.subarray(60_000));
    await expect(writer.write(bytes)).rejects.toThrow(RangeError);
    await writer.commit();
    expect((await readBlob(store, digest))!.equals(bytes)).toBe(true);
    expect((await collect(writer.read(0, 100_000))).equals(bytes)).toBe(true);
    await writer.close(false);
    expect(await store.begin(digest, bytes.length)).toBeUndefined();
  });

  test("that vanished or has another size is forgotten", async () => {
    await using opened = await openStore(directory);
    const [gone, cut, openCut] = ["gone", "cut", "open cut"].map((seed) => blobOf(seed, 50_000)) as [B, B, B];
    for (const blob of [gone, cut, openCut]) await write(opened.store, blob);
    await opened.store.close();
    await using again = await openStore(directory);
    await readBlob(again.store, openCut.digest);
    await unlink(blobPath(gone.digest));
    await truncate(blobPath(cut.digest), 49_999);
    await truncate(blobPath(openCut.digest), 10);
    for (const { digest } of [gone, cut, openCut]) {
      expect(await again.store.open(digest)).toBeUndefined();
      expect(again.store.has(digest)).toBe(false);
    }
    expect(await readdir(join(directory, "blobs/sha256"))).toEqual([]);
    expect(again.store.usedBytes).toBe(0);
  });

  test("that is deleted while it is open can be read on, and its bytes count until then", async () => {
    await using opened = await openStore(directory);
    const { store } = opened;
    const blob = blobOf("a", 600_000);
    await write(store, blob);
    const cached = (await store.open(blob.digest))!;
    expect(await store.delete(blob.digest)).toBe(true);
    expect(await store.delete(blob.digest)).toBe(false);
    expect(await store.open(blob.digest)).toBeUndefined();
    expect(store.usedBytes).toBe(600_000);
    await write(store, blob); // the same once more
    expect((await collect(cached.read(0, 600_000))).equals(blob.bytes)).toBe(true);
    await cached.close();
    expect(store.usedBytes).toBe(600_000);
    expect((await readBlob(store, blob.digest))!.equals(blob.bytes)).toBe(true);
  });

  test("that is deleted right after commit does not come back", async () => {
    const blob = blobOf("a", 300_000);
    {
      await using opened = await openStore(directory);
      await write(opened.store, blob);
      expect(await opened.store.delete(blob.digest)).toBe(true);
    }
    expect(await readdir(join(directory, "blobs/sha256"))).toEqual([]);
    expect(await readdir(join(directory, "partial"))).toEqual([]);
  });
});

test("a piece stays as it is when its reader leaves early: it may be on its way to a socket", async () => {
  await using opened = await openStore(directory);
  const [a, b] = [blobOf("a", 1_500_000), blobOf("b", 1_500_000)];
  for (const blob of [a, b]) await write(opened.store, blob);
  const cached = (await opened.store.open(a.digest))!;
  const pieces: Uint8Array[] = [];
  for await (const piece of cached.read(0, a.bytes.length)) {
    pieces.push(piece);
    break;
  }
  await cached.close();
  await readBlob(opened.store, b.digest);
  expect(Buffer.compare(pieces[0]!, a.bytes.subarray(0, pieces[0]!.length))).toBe(0);
});

test("a closed store has nothing, and leaves the files to the next", async () => {
  await using opened = await openStore(directory);
  const blob = blobOf("a", 10_000);
  await write(opened.store, blob);
  const writer = (await opened.store.begin(blobOf("b", 10_000).digest, 10_000))!;
  await writer.write(blobOf("b", 10_000).bytes.subarray(0, 5_000));
  await opened.store.close();
  expect(await opened.store.open(blob.digest)).toBeUndefined();
  expect(await opened.store.delete(blob.digest)).toBe(false);
  expect(await opened.store.begin(blob.digest, 10_000)).toBeUndefined();
  await expect(writer.commit()).rejects.toThrow();
  await writer.close(false);
  await using next = await openStore(directory);
  expect([next.store.count, next.store.partials.length]).toEqual([1, 1]);
});

test("put stores what hashes to its digest, and nothing else", async () => {
  await using opened = await openStore(directory);
  const { bytes, digest } = blobOf("manifest", 700);
  expect(await opened.store.put(digest, bytes.subarray(1))).toBe(false);
  expect(await opened.store.put(digest, bytes)).toBe(true);
  expect(await opened.store.put(digest, bytes)).toBe(true);
  expect((await readBlob(opened.store, digest))!.equals(bytes)).toBe(true);
});

test("verify removes what has changed on the disk, and stops its readers", async () => {
  await using opened = await openStore(directory);
  const { store } = opened;
  const [good, bad] = [blobOf("good", 300_000), blobOf("bad", 700_000)];
  for (const blob of [good, bad]) await write(store, blob);
  await opened.store.close();
  await using again = await openStore(directory);
  const wrong = Buffer.from(bad.bytes);
  wrong[650_000]! ^= 1;
  await writeFile(blobPath(bad.digest), wrong);
  const cached = (await again.store.open(bad.digest))!;
  const seen: number[] = [];
  const result = await again.store.verify(({ checked, total }) => seen.push(checked, total));
  expect(result).toEqual({ checked: 2, bad: [bad.digest] });
  expect(seen).toEqual([1, 2, 2, 2]);
  expect([again.store.has(good.digest), again.store.has(bad.digest)]).toEqual([true, false]);
  await expect(collect(cached.read(0, 700_000))).rejects.toThrow("has the bytes of");
  await cached.close();
  await expect(again.store.verify(undefined, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});

test("an existing index.json stays as it is, and another program's image layout is left alone", async () => {
  {
    await using opened = await openStore(directory);
    await writeFile(join(directory, "index.json"), "mine");
    await writeFile(join(directory, "blobs/sha256/notes.txt"), "also mine");
    await opened.store.put(blobOf("a", 10).digest, blobOf("a", 10).bytes);
  }
  {
    await using _ = await openStore(directory, 0);
    expect(await readFile(join(directory, "index.json"), "utf8")).toBe("mine");
    expect(await readdir(join(directory, "blobs/sha256"))).toEqual(["notes.txt"]);
  }
  await rm(join(directory, "partial"), { recursive: true });
  await expect(openStore(directory)).rejects.toThrow("choose another directory");
});

type B = ReturnType<typeof blobOf>;
