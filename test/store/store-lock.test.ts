import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DirectoryLock } from "#store/directory-lock.ts";
import { StoreError } from "#store/store-port.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { openStore } from "./opened-store.ts";
import { startStoreChild } from "./store-process.ts";

const locks = async (path: string) => (await readdir(path)).filter((name) => name.startsWith(".lock"));

test("a directory that is in use is refused, and free again after close", async () => {
  await using folder = await makeTemporaryFolder();
  {
    await using _ = await openStore(folder.path);
    await expect(openStore(folder.path)).rejects.toThrow(StoreError);
    await expect(openStore(folder.path)).rejects.toThrow(/in use by another running process/);
    expect(await locks(folder.path)).toHaveLength(1);
  }
  expect(await locks(folder.path)).toEqual([]);
  await using _ = await openStore(folder.path);
});

test("what a killed process left is taken over, what a living one has is not", async () => {
  await using folder = await makeTemporaryFolder();
  const child = startStoreChild({ directory: folder.path, seed: 1, maxBytes: 1_000_000 });
  await child.ready;
  await expect(openStore(folder.path)).rejects.toThrow(StoreError);
  await child.kill();
  expect(await locks(folder.path)).toHaveLength(1);
  await using _ = await openStore(folder.path);
  expect(await locks(folder.path)).toHaveLength(1);
});

test("a path too long for a socket's address is locked all the same", async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "deep".repeat(20), "deeper".repeat(20));
  await mkdir(path, { recursive: true });
  const lock = await DirectoryLock.take(path);
  await expect(DirectoryLock.take(path)).rejects.toThrow(StoreError);
  await lock.release();
  await (await DirectoryLock.take(path)).release();
  expect(await readdir(path)).toEqual([]);
});

test("of several that start at the same moment at most one gets the directory", async () => {
  await using folder = await makeTemporaryFolder();
  const attempts = await Promise.allSettled(Array.from({ length: 6 }, () => DirectoryLock.take(folder.path)));
  const taken = attempts.filter((attempt) => attempt.status === "fulfilled");
  expect(taken.length).toBeLessThanOrEqual(1);
  for (const { value } of taken) await value.release();
  expect(await readdir(folder.path)).toEqual([]);
});
