import { Readable } from "node:stream";
import { afterEach, expect, test, vi } from "vitest";
import { bodyOf } from "#oci/direct-get.ts";
import { digestOfHash } from "#oci/reference.ts";
import { type BlobPagesContext, PagedBlob } from "#publish/paged-blob.ts";
import { PageCache, pageBytes, ReadLimit } from "#publish/pages.ts";
import type { RangeRead, RangeReader } from "#publish/range-reader.ts";
import { until } from "#test/support/until.ts";

const ref = { repository: "team/app", digest: digestOfHash(Buffer.alloc(32)) };
/** Beyond what the first read of a blob will bring soon, so that it takes a read of its own. */
const farBytes = 100 * pageBytes;

afterEach(() => vi.useRealTimers());

function contextOf(reader: RangeReader, signal = new AbortController().signal): BlobPagesContext {
  const cache = new PageCache(128 * 1024 * 1024);
  return {
    reader,
    cache,
    limit: new ReadLimit(32, cache.capacityPages),
    signal,
    readBytes: { inc: () => undefined },
    onReadFailed: () => undefined,
  };
}

/** The first page comes and then nothing more, later ranges are what `later` says. */
function firstThen(sizeBytes: number, later: () => Promise<RangeRead | undefined>): RangeReader {
  return {
    async read(_, start) {
      if (start > 0) return later();
      const body = new Readable({ read: () => undefined });
      body.push(Buffer.alloc(pageBytes));
      return { sizeBytes, body: bodyOf(body) };
    },
  };
}

test("Interests for everywhere in a huge blob do not fill the memory while the registry is slow", async () => {
  const context = contextOf(firstThen(2 ** 36, () => new Promise(() => undefined)));
  const blob = (await PagedBlob.open(ref, context))!;
  let given = 0;
  for (let place = 1; place < 2_000; place++) {
    blob.whenFilled(place * farBytes, place * farBytes + 1, () => given++);
  }
  expect(context.cache.sizeBytes).toBeLessThan(100 * pageBytes);
  expect(given).toBeGreaterThan(1_900); // called at once: not available now
});

test("a blob that has changed its size is not read on, and the answer is not left hanging", async () => {
  const body = Readable.from([Buffer.alloc(10)]);
  const context = contextOf(firstThen(2 * farBytes, async () => ({ sizeBytes: 7, body: bodyOf(body) })));
  const blob = (await PagedBlob.open(ref, context))!;
  await new Promise<void>((resolve) => blob.whenFilled(farBytes, farBytes + 1, resolve));
  expect(blob.pageAt(farBytes, farBytes + 1)).toBeUndefined();
  expect(body.destroyed).toBe(true);
});

test("a reader that waits is called when the bytes it needs are there, not when the page is full", async () => {
  const body = new Readable({ read: () => undefined });
  const context = contextOf(firstThen(2 * farBytes, async () => ({ sizeBytes: 2 * farBytes, body: bodyOf(body) })));
  const blob = (await PagedBlob.open(ref, context))!;
  const early = new Promise<void>((resolve) => blob.whenFilled(farBytes, farBytes + 100, resolve));
  body.push(Buffer.alloc(100));
  await early;
  expect(blob.pageAt(farBytes, farBytes + 100)?.filledBytes).toBe(100);
  expect(blob.pageAt(farBytes, farBytes + 101)).toBeUndefined();
  body.destroy();
});

test("a long read pauses ahead of its reader, and continues when the reader does", async () => {
  let sent = 0;
  const reader: RangeReader = {
    async read(_, start, end) {
      const pages = (end - start) / pageBytes;
      const body = Readable.from(
        (async function* () {
          for (let n = 0; n < pages; n++, sent++) yield Buffer.alloc(pageBytes, n);
        })(),
      );
      return { sizeBytes: 256 * pageBytes, body: bodyOf(body) };
    },
  };
  const blob = (await PagedBlob.open(ref, contextOf(reader)))!;
  for (const page of [10, 60, 110]) {
    for (let at = Math.max(0, page - 50); at <= page; at++) {
      await new Promise<void>((resolve) => blob.whenFilled(at * pageBytes, (at + 1) * pageBytes, resolve));
      expect(blob.pageAt(at * pageBytes, (at + 1) * pageBytes)?.buf[0]).toBe(at);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toBeLessThan(page + 60);
  }
});

test("reads of which no more is wanted give their permit to the one that waits", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }); // none of them gives up by itself
  const reader: RangeReader = {
    async read(_, start, end) {
      const pages = function* () {
        for (let at = start; at < end; at += pageBytes) yield Buffer.alloc(pageBytes);
      };
      return { sizeBytes: 200 * pageBytes, body: bodyOf(Readable.from(pages())) };
    },
  };
  const limit = new ReadLimit(3, 512);
  const context = { ...contextOf(reader), limit };
  for (let n = 0; n < 3; n++) await PagedBlob.open(ref, context);
  await until("all to pause", () => limit.pausing.size === 3);
  expect(await PagedBlob.open(ref, context)).toBeDefined();
});

test("an answer that ends early is told, and what came of it stays", async () => {
  const failures: string[] = [];
  const body = () => bodyOf(Readable.from([Buffer.alloc(pageBytes + 1000)]));
  const context = {
    ...contextOf({ read: async () => ({ sizeBytes: 3 * pageBytes, body: body() }) }),
    onReadFailed: (_: unknown, reason: Error) => failures.push(reason.message),
  };
  const blob = (await PagedBlob.open(ref, context))!;
  await new Promise<void>((resolve) => blob.whenFilled(2 * pageBytes, 3 * pageBytes, resolve));
  expect(failures).toContain("the registry's answer was too short");
  expect(blob.pageAt(0, pageBytes)).toBeDefined();
});
