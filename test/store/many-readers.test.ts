import { expect, test } from "vitest";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { blobOf, openStore } from "./opened-store.ts";

const KiB = 1024;

test("with many readers at once each has a little memory, and all of them all bytes; a few have large pieces", async () => {
  await using folder = await makeTemporaryFolder();
  await using opened = await openStore(folder.path);
  const { bytes, digest } = blobOf("many readers", 1_500_000);
  await opened.store.put(digest, bytes);
  const blobs = await Promise.all(Array.from({ length: 100 }, () => opened.store.open(digest)));
  const readers = blobs.map((cached) => cached!.read(0, bytes.length)[Symbol.asyncIterator]());
  const got = await Promise.all(readers.map(async (reader) => [Buffer.from((await reader.next()).value)]));
  const sizes = got.map(([first]) => first!.length);
  expect(sizes.slice(0, 32)).toEqual(Array(32).fill(256 * KiB));
  expect(sizes.slice(32)).toEqual(Array(68).fill(64 * KiB));
  await Promise.all(
    readers.map(async (reader, i) => {
      for (let next = await reader.next(); !next.done; next = await reader.next())
        got[i]!.push(Buffer.from(next.value));
    }),
  );
  for (const pieces of got) expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  const alone = blobs[0]!.read(0, bytes.length)[Symbol.asyncIterator]();
  expect((await alone.next()).value.length).toBe(256 * KiB);
  await alone.return?.();
  for (const cached of blobs) await cached!.close();
});
