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

test.each([40 * KiB, 64 * KiB, 200 * KiB])(
  "ranges of %d bytes are read into buffers that are used again",
  async (rangeBytes) => {
    await using folder = await makeTemporaryFolder();
    await using opened = await openStore(folder.path);
    const { bytes, digest } = blobOf("short ranges", 1_500_000);
    await opened.store.put(digest, bytes);
    const cached = (await opened.store.open(digest))!;
    const memory = new Set<ArrayBufferLike>();
    for (let start = 0; start < bytes.length; start += rangeBytes) {
      const end = Math.min(bytes.length, start + rangeBytes);
      const read: Buffer[] = [];
      for await (const piece of cached.read(start, end)) {
        memory.add(piece.buffer);
        read.push(Buffer.from(piece));
      }
      expect(Buffer.concat(read).equals(bytes.subarray(start, end))).toBe(true);
    }
    await cached.close();
    expect(memory.size).toBeLessThanOrEqual(2 + 2); // of both sizes: the last range is shorter
  },
);

test("many readers of short ranges that are slow have a small piece each", async () => {
  await using folder = await makeTemporaryFolder();
  await using opened = await openStore(folder.path);
  const { bytes, digest } = blobOf("slow readers", 1_500_000);
  await opened.store.put(digest, bytes);
  const blobs = await Promise.all(Array.from({ length: 100 }, () => opened.store.open(digest)));
  const readers = blobs.map((cached, i) => cached!.read(i, i + 150 * KiB)[Symbol.asyncIterator]());
  const pieces = await Promise.all(readers.map(async (reader) => (await reader.next()).value as Uint8Array));
  expect(pieces.slice(32).map(({ length }) => length)).toEqual(Array(68).fill(64 * KiB));
  for (const reader of readers) await reader.return?.();
  for (const cached of blobs) await cached!.close();
});
