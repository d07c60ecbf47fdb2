import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { SegmentWaiter } from "#ndn/producer.ts";
import { bodyOf } from "#oci/direct-get.ts";
import { digestOfHash } from "#oci/reference.ts";
import { PageMemory, pageBytes } from "#publish/page-memory.ts";
import { ReadLimit } from "#publish/page-stream.ts";
import { PagedBlob } from "#publish/paged-blob.ts";
import type { RangeRead, RangeReader } from "#publish/range-reader.ts";
import type { BlobPagesContext } from "#publish/registry-read.ts";
import { until } from "#test/support/until.ts";

const ref = { repository: "team/app", digest: digestOfHash(Buffer.alloc(32)) };
/** Beyond what the first reads of a blob will bring soon, so that it takes a read of its own. */
const farPage = 200;
const farBytes = farPage * pageBytes;

afterEach(() => vi.useRealTimers());

function contextOf(reader: RangeReader, memoryPages = 1024) {
  const failures: string[] = [];
  const context: BlobPagesContext = {
    reader,
    memory: new PageMemory(memoryPages * pageBytes),
    limit: new ReadLimit(),
    signal: new AbortController().signal,
    readBytes: { inc: () => undefined },
    onReadFailed: (_, reason) => failures.push(reason.message),
  };
  return { ...context, failures };
}

function waiterOf(done: () => void, puller: object = {}): SegmentWaiter {
  return { puller, isWaiting: () => true, done };
}

/** Read page `index` as the producer does, and send it. */
async function take(blob: PagedBlob, index: number, puller?: object): Promise<Buffer | undefined> {
  const [start, end] = [index * pageBytes, (index + 1) * pageBytes];
  if (!blob.pageAt(start, end)) {
    await new Promise<void>((resolve) => blob.whenFilled(start, end, waiterOf(resolve, puller)));
  }
  const page = blob.pageAt(start, end);
  if (page) blob.sent(page, pageBytes);
  return page?.buf;
}

interface Asked {
  readonly first: number;
  readonly end: number;
  /** Pages that were taken out of the answer. */
  taken: number;
}

/** A registry of a blob of so many pages, each of which begins with its number; and what it was asked for. */
function registryOf(pageCount: number) {
  const asked: Asked[] = [];
  const reader: RangeReader = {
    async read(_, start, end) {
      const request = { first: start / pageBytes, end: Math.min(pageCount, end / pageBytes), taken: 0 };
      asked.push(request);
      const pages = async function* () {
        for (let n = request.first; n < request.end; n++, request.taken++) {
          const page = Buffer.alloc(pageBytes);
          page.writeUInt32BE(n);
          yield page;
        }
      };
      return { sizeBytes: pageCount * pageBytes, body: bodyOf(Readable.from(pages(), { highWaterMark: 1 })) };
    },
  };
  return { reader, asked, takenPages: () => asked.reduce((sum, { taken }) => sum + taken, 0) };
}

/** The first pages come and then nothing more, later ranges are what `later` says. */
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
    const at = place * farBytes;
    blob.whenFilled(
      at,
      at + 1,
      waiterOf(() => given++),
    );
  }
  expect(context.memory.sizeBytes).toBeLessThan(100 * pageBytes);
  expect(given).toBeGreaterThan(1_900); // called at once: not available now
});

test("a blob that has changed its size is not read on, and the answer is not left hanging", async () => {
  const body = Readable.from([Buffer.alloc(10)]);
  const context = contextOf(firstThen(2 * farBytes, async () => ({ sizeBytes: 7, body: bodyOf(body) })));
  const blob = (await PagedBlob.open(ref, context))!;
  await new Promise<void>((resolve) => blob.whenFilled(farBytes, farBytes + 1, waiterOf(resolve)));
  expect(blob.pageAt(farBytes, farBytes + 1)).toBeUndefined();
  expect(blob.isCurrent).toBe(false);
  expect(body.destroyed).toBe(true);
});

test("a reader that waits is called when the bytes it needs are there, not when the page is full", async () => {
  const body = new Readable({ read: () => undefined });
  const context = contextOf(firstThen(2 * farBytes, async () => ({ sizeBytes: 2 * farBytes, body: bodyOf(body) })));
  const blob = (await PagedBlob.open(ref, context))!;
  const early = new Promise<void>((resolve) => blob.whenFilled(farBytes, farBytes + 100, waiterOf(resolve)));
  body.push(Buffer.alloc(100));
  await early;
  expect(blob.pageAt(farBytes, farBytes + 100)?.filledBytes).toBe(100);
  expect(blob.pageAt(farBytes, farBytes + 101)).toBeUndefined();
  body.destroy();
});

test("a blob that is read in order is asked for in few requests, which pause ahead of their reader", async () => {
  const { reader, asked, takenPages } = registryOf(1000);
  const blob = (await PagedBlob.open(ref, contextOf(reader)))!;
  for (let index = 0; index < 1000; index++) {
    expect((await take(blob, index))?.readUInt32BE()).toBe(index);
    expect(takenPages()).toBeLessThan(index + 60);
  }
  expect(asked.map(({ first }) => first)).toEqual([0, 4, 516]);
  expect(takenPages()).toBe(1000);
});

test("a read that is as far ahead as it may be pauses for several pages at a time, not for each", async () => {
  const { reader } = registryOf(600);
  let pauses = 0;
  const limit = new ReadLimit();
  const add = limit.pausing.add.bind(limit.pausing);
  limit.pausing.add = (resume) => {
    pauses++;
    return add(resume);
  };
  const blob = (await PagedBlob.open(ref, { ...contextOf(reader), limit }))!;
  for (let index = 0; index < 400; index++) {
    await take(blob, index);
    while (index >= 4 && limit.pausing.size === 0) await setImmediate();
  }
  expect(pauses).toBeLessThan(400 / 8);
});

test("of a part in the middle no more is asked for than is wanted, until much of it was read in order", async () => {
  const { reader, asked } = registryOf(1000);
  const blob = (await PagedBlob.open(ref, contextOf(reader)))!;
  const wanted = Array.from({ length: 9 }, (_, n) => take(blob, farPage + n));
  for (const [n, page] of (await Promise.all(wanted)).entries()) expect(page?.readUInt32BE()).toBe(farPage + n);
  expect(asked.slice(1).map(({ first, end }) => [first, end])).toEqual([[farPage, farPage + 9]]);
  for (let index = farPage + 9; index < farPage + 100; index++) await take(blob, index);
  expect(asked.length).toBeLessThan(16);
});

test("more blobs than fit are read once each, by readers that are slow and fast ones", async () => {
  const registries = Array.from({ length: 30 }, () => registryOf(40));
  const context = contextOf({ read: () => Promise.reject(new Error("not this one")) }, 48);
  const read = async ({ reader }: { reader: RangeReader }, nth: number) => {
    const blob = (await PagedBlob.open(ref, { ...context, reader }))!;
    for (let index = 0; index < 40; index++) {
      for (let turns = 0; turns < nth % 4; turns++) await setImmediate();
      expect((await take(blob, index, reader))?.readUInt32BE()).toBe(index);
    }
  };
  await Promise.all(registries.map(read));
  const taken = registries.reduce((sum, { takenPages }) => sum + takenPages(), 0);
  expect(taken / (30 * 40)).toBeLessThanOrEqual(1.05);
  expect(context.memory.sizeBytes).toBeLessThanOrEqual(48 * pageBytes);
  expect(context.failures).toEqual([]);
});

test("what no Interest waits for any more is not read", async () => {
  const { reader, takenPages } = registryOf(1000);
  const context = contextOf(reader, 4);
  const held = await Promise.all([1, 2].map(() => PagedBlob.open(ref, context)));
  await until("the memory to be full", () => context.memory.sizeBytes === 4 * pageBytes);
  let isWaiting = true;
  const blob = held[0]!;
  const end = 11 * pageBytes;
  blob.whenFilled(10 * pageBytes, end, { puller: {}, isWaiting: () => isWaiting, done: () => undefined });
  isWaiting = false;
  const before = takenPages();
  await setImmediate();
  await setImmediate();
  expect(takenPages()).toBe(before);
});

test("a read that is closed while it pauses goes on from the same byte, and is no failure", async () => {
  const starts: number[] = [];
  const bodies: Readable[] = [];
  const context = contextOf({
    async read(_, start) {
      starts.push(start);
      const body = Readable.from(Array.from({ length: start === 0 ? 4 : 100 }, () => Buffer.alloc(pageBytes)));
      bodies.push(body);
      return { sizeBytes: 200 * pageBytes, body: bodyOf(body) };
    },
  });
  const blob = (await PagedBlob.open(ref, context))!;
  for (let index = 0; index < 7; index++) await take(blob, index);
  await until("the read to pause", () => context.limit.pausing.size === 1);
  bodies.at(-1)!.destroy(new Error("proxy has closed the connection"));
  for (let index = 7; index < 60; index++) await take(blob, index);
  expect(starts).toEqual([0, 4 * pageBytes, 55 * pageBytes]);
  expect(context.failures).toEqual([]);
  for (const body of bodies) body.destroy();
});

test("reads of which no more is wanted give their connection to the one that waits", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }); // none of them gives up by itself
  const context = { ...contextOf(registryOf(1000).reader), limit: new ReadLimit(6) };
  for (let n = 0; n < 3; n++) await take((await PagedBlob.open(ref, context))!, 0);
  await until("all to pause", () => context.limit.pausing.size === 3);
  for (let n = 0; n < 3; n++) await context.limit.acquire();
  expect(await PagedBlob.open(ref, context)).toBeDefined();
});

test("an answer that ends early again and again is told, and what came of it stays", async () => {
  const body = () => bodyOf(Readable.from([Buffer.alloc(1000)]));
  const context = contextOf({ read: async () => ({ sizeBytes: 3 * pageBytes, body: body() }) });
  const blob = (await PagedBlob.open(ref, context))!;
  await new Promise<void>((resolve) => blob.whenFilled(2 * pageBytes, 3 * pageBytes, waiterOf(resolve)));
  expect(context.failures).toContain("the registry's answer was too short");
});

test("an empty blob is there as soon as it is open", async () => {
  const context = contextOf({ read: async () => ({ sizeBytes: 0, body: bodyOf(Readable.from([])) }) });
  const blob = (await PagedBlob.open(ref, context))!;
  expect(blob.pageAt(0, 0)?.buf.length).toBe(0);
});
