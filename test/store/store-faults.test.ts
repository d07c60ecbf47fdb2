import { access, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StoreError } from "#store/store-port.ts";
import { run } from "#test/support/run.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, openStore, readBlob, write } from "./opened-store.ts";
import { startStoreChild } from "./store-process.ts";

const isRoot = process.getuid?.() === 0;

let folder: TemporaryFolder;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
});

afterEach(() => folder[Symbol.asyncDispose]());

test("a file in the place of the directory is an error that says what to do", async () => {
  const path = join(folder.path, "file");
  await writeFile(path, "");
  await expect(openStore(path)).rejects.toThrow(StoreError);
  await expect(openStore(path)).rejects.toThrow(`${path} cannot hold a cache`);
  await mkdir(join(folder.path, "half/blobs"), { recursive: true });
  await writeFile(join(folder.path, "half/blobs/sha256"), "");
  await expect(openStore(join(folder.path, "half"))).rejects.toThrow(StoreError);
  expect(await readdir(join(folder.path, "half"))).not.toContain(expect.stringContaining(".lock"));
});

test("a disk that refuses to take more of a file breaks off that file only", async () => {
  const child = startStoreChild(
    { directory: folder.path, seed: 3, maxBytes: 2_000_000 },
    { under: ["prlimit", "--fsize=100000"] },
  );
  try {
    await child.said("failed EFBIG");
    await child.said("warned");
  } finally {
    await child.kill();
  }
  await using opened = await openStore(folder.path);
  expect((await opened.store.verify()).bad).toEqual([]);
});

test("a directory that is cleared away while it is used is made again, and what was in it forgotten", async () => {
  await using opened = await openStore(folder.path);
  const { store } = opened;
  const [a, b] = [blobOf("a", 1_000), blobOf("b", 1_000)];
  await write(store, a);
  await store.settled();
  await rm(folder.path, { recursive: true });
  expect(await readBlob(store, a.digest)).toBeUndefined();
  await write(store, b);
  expect((await readBlob(store, b.digest))!.equals(b.bytes)).toBe(true);
  expect(store.usedBytes).toBe(1_000);
  await store.settled();
  await rm(join(folder.path, "blobs"), { recursive: true });
  await write(store, a);
  await store.settled();
  expect((await readdir(join(folder.path, "blobs/sha256"))).length).toBe(1);
  expect([store.has(a.digest), store.has(b.digest)]).toEqual([true, false]);
  await expect(openStore(folder.path)).rejects.toThrow("in use");
});

test("after a failure nothing is written for a while, and the log says so once", async () => {
  await using opened = await openStore(folder.path, 1_000_000, { pauseMs: 60_000 });
  const a = blobOf("a", 1_000);
  await rm(join(folder.path, "partial"), { recursive: true });
  await writeFile(join(folder.path, "partial"), "in the way");
  for (let attempt = 0; attempt < 3; attempt++) expect(await opened.store.put(a.digest, a.bytes)).toBe(false);
  expect(opened.failures).toHaveLength(1);
  expect(opened.warnings).toHaveLength(1);
  await rm(join(folder.path, "partial"));
  expect(await opened.store.begin(a.digest, 1_000)).toBeUndefined();
});

describe.runIf(isRoot)("on a disk of 1 MiB", () => {
  let disk: string;

  beforeEach(async () => {
    disk = join(folder.path, "disk");
    await mkdir(disk);
    await run("mount", ["-t", "tmpfs", "-o", "size=1m", "none", disk]);
  });

  afterEach(() => run("umount", [disk]));

  test("the oldest blobs go when it is full, and right bytes are served all the time", async () => {
    await using opened = await openStore(disk);
    const { store } = opened;
    const blobs = Array.from({ length: 8 }, (_, n) => blobOf(`disk ${n}`, 300_000));
    let refused = 0;
    for (const blob of blobs) {
      await write(store, blob).catch((err: NodeJS.ErrnoException) => {
        expect(err.code).toBe("ENOSPC");
        refused += 1;
      });
      await store.settled(); // what is being synced stays
      for (const { digest, bytes } of blobs) {
        const read = await readBlob(store, digest);
        if (read) expect(read.equals(bytes)).toBe(true);
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(5);
    expect(store.partials).toEqual([]);
  });

  test("that becomes read-only what is cached is served, and the rest is taken when it is writable again", async () => {
    await using opened = await openStore(disk, 450_000);
    const { store } = opened;
    const [a, b] = [blobOf("a", 200_000), blobOf("b", 300_000)];
    await write(store, a);
    await store.close();
    await using again = await openStore(disk, 450_000);
    await run("mount", ["-o", "remount,ro", disk]);
    expect(await again.store.begin(b.digest, 300_000)).toBeUndefined();
    expect(await again.store.put(b.digest, b.bytes)).toBe(false);
    expect((await readBlob(again.store, a.digest))!.equals(a.bytes)).toBe(true);
    expect(again.failures.length).toBeGreaterThan(0);
    await run("mount", ["-o", "remount,rw", disk]);
    await write(again.store, b);
    expect([again.store.has(a.digest), again.store.has(b.digest), again.store.usedBytes]).toEqual([
      false,
      true,
      300_000,
    ]);
  });

  test("a read-only directory is refused at the start", async () => {
    await run("mount", ["-o", "remount,ro", disk]);
    await expect(openStore(disk)).rejects.toThrow(StoreError);
    await access(disk);
  });
});
