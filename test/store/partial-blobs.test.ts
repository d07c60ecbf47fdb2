import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, collect, openStore, readBlob } from "./opened-store.ts";

let folder: TemporaryFolder;
let directory: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  directory = join(folder.path, "cache");
});

afterEach(() => folder[Symbol.asyncDispose]());

describe("what broke off", () => {
  test("is continued, also after a restart", async () => {
    const { bytes, digest } = blobOf("a", 100_000);
    {
      await using opened = await openStore(directory);
      const writer = (await opened.store.begin(digest, bytes.length))!;
      await writer.write(bytes.subarray(0, 30_000));
      await writer.close(true);
      expect(opened.store.partial(digest)).toMatchObject({ sizeBytes: 100_000, writtenBytes: 30_000 });
      expect(opened.store.usedBytes).toBe(30_000);
    }
    await using opened = await openStore(directory);
    expect(opened.store.partials).toEqual([{ digest, sizeBytes: 100_000, writtenBytes: 30_000 }]);
    const writer = (await opened.store.begin(digest, bytes.length))!;
    expect([writer.writtenBytes, opened.store.usedBytes]).toEqual([30_000, 100_000]);
    await writer.write(bytes.subarray(30_000));
    await writer.commit();
    await writer.close(true);
    expect((await readBlob(opened.store, digest))!.equals(bytes)).toBe(true);
  });

  test("is thrown away when asked, when its size was wrong, and when it is deleted", async () => {
    await using opened = await openStore(directory);
    const { store } = opened;
    const { bytes, digest } = blobOf("a", 1_000);
    const breakOff = async (sizeBytes: number, keep: boolean) => {
      const writer = (await store.begin(digest, sizeBytes))!;
      await writer.write(bytes.subarray(0, 100));
      await writer.close(keep);
      return writer.writtenBytes;
    };
    await breakOff(1_000, false);
    expect(store.partial(digest)).toBeUndefined();
    await breakOff(2_000, true);
    expect(await breakOff(1_000, true)).toBe(100);
    expect(await store.delete(digest)).toBe(false);
    expect(store.partial(digest)).toBeUndefined();
    expect(await readdir(join(directory, "partial"))).toEqual([]);
    expect(store.usedBytes).toBe(0);
  });

  test("does not become visible when it is deleted while it is written", async () => {
    await using opened = await openStore(directory);
    const { store } = opened;
    const { bytes, digest } = blobOf("a", 1_000);
    const writer = (await store.begin(digest, 1_000))!;
    await writer.write(bytes);
    await store.delete(digest);
    const other = (await store.begin(digest, 1_000))!;
    await writer.commit();
    expect(store.has(digest)).toBe(false);
    expect((await collect(writer.read(0, 1_000))).equals(bytes)).toBe(true);
    await writer.close(true);
    await other.write(bytes);
    await other.commit();
    await other.close(true);
    expect(store.has(digest)).toBe(true);
    expect(store.usedBytes).toBe(1_000);
  });
});
