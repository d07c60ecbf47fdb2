import { Readable } from "node:stream";
import { expect, test } from "vitest";
import type { RangeRead, RangeReader } from "#blob/range-reader.ts";
import { digestOfHash } from "#oci/digest.ts";
import { PageCache, pageBytes } from "#server/page-cache.ts";
import { type BlobPagesContext, PagedBlob } from "#server/paged-blob.ts";
import { ReadGate } from "#server/read-gate.ts";

const ref = { repository: "team/app", digest: digestOfHash(Buffer.alloc(32)) };
const extentBytes = 16 * pageBytes;

function contextOf(reader: RangeReader, signal = new AbortController().signal): BlobPagesContext {
  const cache = new PageCache(128 * 1024 * 1024);
  return { reader, cache, gate: new ReadGate(32), signal, onRead: () => undefined, onReadFailed: () => undefined };
}

/** The first range comes, later ones are what `later` says. */
function firstThen(sizeBytes: number, later: () => Promise<RangeRead | undefined>): RangeReader {
  return {
    async read(_, start, end) {
      if (start > 0) return later();
      return { sizeBytes, body: Readable.from([Buffer.alloc(Math.min(end, sizeBytes))]) };
    },
  };
}

test("Interests for everywhere in a huge blob do not fill the memory while the registry is slow", async () => {
  const context = contextOf(firstThen(2 ** 36, () => new Promise(() => undefined)));
  const blob = (await PagedBlob.open(ref, context))!;
  let given = 0;
  for (let extent = 2; extent < 2_000; extent++) {
    blob.whenFilled(extent * extentBytes, extent * extentBytes + 1, () => given++);
  }
  expect(context.cache.sizeBytes).toBeLessThan(100 * extentBytes);
  expect(given).toBeGreaterThan(1_900); // told at once that it cannot be had now
});

test("a blob that has changed its size is not read on, and the answer is not left hanging", async () => {
  const body = Readable.from([Buffer.alloc(10)]);
  const context = contextOf(firstThen(2 * extentBytes, async () => ({ sizeBytes: 7, body })));
  const blob = (await PagedBlob.open(ref, context))!;
  await new Promise<void>((resolve) => blob.whenFilled(extentBytes, extentBytes + 1, resolve));
  expect(blob.pageAt(extentBytes, extentBytes + 1)).toBeUndefined();
  expect(body.destroyed).toBe(true);
});

test("whoever waits is told when the bytes they need are there, not when the page is full", async () => {
  const body = new Readable({ read: () => undefined });
  const context = contextOf(firstThen(2 * extentBytes, async () => ({ sizeBytes: 2 * extentBytes, body })));
  const blob = (await PagedBlob.open(ref, context))!;
  const early = new Promise<void>((resolve) => blob.whenFilled(extentBytes, extentBytes + 100, resolve));
  body.push(Buffer.alloc(100));
  await early;
  expect(blob.pageAt(extentBytes, extentBytes + 100)?.filledBytes).toBe(100);
  expect(blob.pageAt(extentBytes, extentBytes + 101)).toBeUndefined();
  body.destroy();
});
