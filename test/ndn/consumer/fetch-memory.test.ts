import { expect, test } from "vitest";
import { FetchMemory } from "#ndn/consumer/fetch-memory.ts";
import { ReorderBuffer } from "#ndn/consumer/reorder-buffer.ts";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { inMemory, ObjectsInMemory, producerOf, readAll } from "../objects.ts";

const never = new AbortController().signal;
const mebibyte = 1024 * 1024;
const budgetBytes = 64 * mebibyte;
const sizes = { firstSegment: 0, lastSegment: 10_000, segmentBytes: 8192, lastSegmentBytes: 8192 };
const payload = Buffer.alloc(8192);

function grown(buffer: ReorderBuffer): number {
  while (buffer.canGrow) buffer.grow();
  return buffer.limit * 8192;
}

/** Everything that there is room for arrives, and no one takes it. */
function fill(buffer: ReorderBuffer): void {
  fillTo(buffer, grown(buffer) / 8192);
}

function fillTo(buffer: ReorderBuffer, end: number): void {
  for (let n = buffer.contiguous; n < end; n++) {
    buffer.put(n, payload, 0, 8192);
    buffer.admit(n);
  }
}

test("a fetch alone may have 32 MiB asked for, of which 8 in order and not taken, and one of a small blob takes no more than that", () => {
  const memory = new FetchMemory();
  const large = new ReorderBuffer(sizes, memory);
  expect(grown(large)).toBe(32 * mebibyte);
  large.close();
  const slow = new ReorderBuffer(sizes, memory);
  while (slow.canGrow) {
    slow.grow();
    fillTo(slow, slow.limit);
  }
  expect(slow.limit * 8192).toBe(8 * mebibyte);
  slow.close();
  large.close();
  expect(memory.usedBytes).toBe(0);
  const small = new ReorderBuffer({ ...sizes, lastSegment: 1 }, memory);
  grown(small);
  expect([memory.usedBytes, small.capacity]).toEqual([2 * 8192, 32]);
});

test("256 fetches whose readers take nothing stay within 72 MiB, 200 within 64, however they come", () => {
  for (const fillsAtOnce of [true, false]) {
    const memory = new FetchMemory();
    const all: ReorderBuffer[] = [];
    for (let i = 1; i <= 256; i++) {
      const buffer = new ReorderBuffer(sizes, memory);
      all.push(buffer);
      if (fillsAtOnce) fill(buffer);
      if (i === 200) for (const one of all) fill(one);
      if (i === 200) expect(memory.usedBytes).toBeLessThanOrEqual(budgetBytes);
    }
    for (const one of all) fill(one);
    expect(memory.usedBytes).toBeLessThanOrEqual(72 * mebibyte);
    for (const one of all) one.close();
    expect(memory.usedBytes).toBe(0);
    expect(grown(new ReorderBuffer(sizes, memory))).toBe(32 * mebibyte); // those that are left may grow again
  }
});

test("one whose reader waits for bytes gets memory that slow readers of 200 fetches have no use for", () => {
  const memory = new FetchMemory();
  const slow = Array.from({ length: 200 }, () => new ReorderBuffer(sizes, memory));
  for (const one of slow) fill(one);
  for (let block = 0; block < 40; block++) {
    for (const one of slow) {
      one.take();
      fill(one);
    }
  }
  expect(grown(new ReorderBuffer(sizes, memory))).toBeGreaterThanOrEqual(mebibyte);
});

test("200 slow readers of a consumer have no more than the budget asked for, each goes on, and a fast one is not held up", async () => {
  const objects = new ObjectsInMemory();
  const bytes = patternBlob(2 * mebibyte);
  const whats = Array.from({ length: 200 }, (_, i) => objects.add(`blob ${i}`, bytes));
  const fast = objects.add("fast", patternBlob(20 * mebibyte));
  await using way = await inMemory(producerOf(objects));
  const { consumer } = way;
  const reads = whats.map((what) => consumer.fetch(what, never));
  const first = await Promise.all(reads.map(async (read) => Buffer.from((await read.next()).value!)));
  await until("everything in flight to arrive", () => consumer.inflight === 0);
  const { segments } = consumer.counters;
  expect(segments * 8192).toBeLessThanOrEqual(budgetBytes);
  expect(consumer.hungry).toBe(0);
  expect(await readAll(consumer.fetch(fast, never))).toHaveLength(20 * mebibyte);
  const rest = await Promise.all(reads.map(readAll));
  for (const [i, one] of rest.entries()) expect(Buffer.concat([first[i]!, one]).equals(bytes)).toBe(true);
}, 30_000);

test("a block that the reader of an abandoned fetch may still look at is not used for another", async () => {
  const objects = new ObjectsInMemory();
  const [one, other] = [patternBlob(mebibyte, 1), patternBlob(mebibyte, 2)];
  const [first, second] = [objects.add("one", one), objects.add("other", other)];
  await using way = await inMemory(producerOf(objects));
  const read = way.consumer.fetch(first, never);
  const piece = (await read.next()).value!;
  await read.return(undefined);
  expect((await readAll(way.consumer.fetch(second, never))).equals(other)).toBe(true);
  expect(piece.equals(one.subarray(0, piece.length))).toBe(true);
});
