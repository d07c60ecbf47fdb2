import fc from "fast-check";
import { expect, test } from "vitest";
import { FetchMemory } from "#ndn/consumer/fetch-memory.ts";
import { ReorderBuffer } from "#ndn/consumer/reorder-buffer.ts";
import { patternBlob } from "#test/support/registry.ts";
import { seededRandom } from "#test/support/seeded-random.ts";

const segmentBytes = 10;
/** Room for so many segments. */
const capacity = 64;
const memory = () => new FetchMemory(Math.ceil((capacity * segmentBytes * 8) / 3));

const arrival = fc.record({
  segments: fc.integer({ min: 1, max: 300 }),
  firstShare: fc.double({ min: 0, max: 0.999, noNaN: true }),
  lastBytes: fc.integer({ min: 0, max: segmentBytes }),
  seed: fc.nat(),
  takeShare: fc.double({ min: 0.01, max: 1, noNaN: true }),
});

test("any order of arrival and any pace of taking gives the bytes in order", () => {
  fc.assert(
    fc.property(arrival, ({ segments, firstShare, lastBytes, seed, takeShare }) => {
      const random = seededRandom(seed);
      const last = segments - 1;
      const first = Math.floor(firstShare * segments);
      const whole = patternBlob(last * segmentBytes + lastBytes);
      const buffer = new ReorderBuffer(
        { firstSegment: first, lastSegment: last, segmentBytes, lastSegmentBytes: lastBytes },
        memory(),
      );
      const taken: Buffer[] = [];
      while (buffer.taken <= last) {
        const missing: number[] = [];
        for (let n = buffer.contiguous; n < limitOf(buffer); n++) if (!buffer.has(n)) missing.push(n);
        const n = missing[Math.floor(random() * missing.length)];
        if (n !== undefined) put(buffer, n, whole, n * segmentBytes, n * segmentBytes + buffer.sizeof(n));
        if (n !== undefined) expect(buffer.has(n)).toBe(true);
        const block = n === undefined || random() < takeShare ? buffer.take() : undefined;
        if (block) taken.push(Buffer.from(block));
      }
      expect(Buffer.concat(taken).equals(whole.subarray(first * segmentBytes))).toBe(true);
      expect(buffer.take()).toBeUndefined();
      expect(buffer.hasWholeBlock).toBe(false);
    }),
    { numRuns: 200 },
  );
});

test("nothing more may be asked for while 8 MiB in order wait for the reader", () => {
  const large = 8192;
  const sizes = { firstSegment: 0, lastSegment: 10_000, segmentBytes: large, lastSegmentBytes: large };
  const buffer = new ReorderBuffer(sizes, new FetchMemory());
  const payload = Buffer.alloc(large);
  for (let n = 0; n < 1_024; n++) {
    if (n === buffer.limit) buffer.grow();
    put(buffer, n, payload, 0, large);
  }
  expect(buffer.canGrow).toBe(false);
  expect(buffer.take()).toHaveLength(32 * large);
  expect(buffer.canGrow).toBe(true);
});

test("segments keep their place when there is to be room for more than was thought", () => {
  const sizes = { firstSegment: 40, lastSegment: 9_000, segmentBytes, lastSegmentBytes: segmentBytes };
  const buffer = new ReorderBuffer(sizes, new FetchMemory());
  const bytesOf = (n: number) => Buffer.alloc(segmentBytes, n);
  const capacities = new Set([buffer.capacity]);
  for (let n = 41; n < 5_000; n++) {
    while (n >= buffer.limit) buffer.grow();
    capacities.add(buffer.capacity);
    if (n % 3 > 0) put(buffer, n, bytesOf(n), 0, segmentBytes);
  }
  for (let n = 40; n < 5_000; n++) if (!buffer.has(n)) put(buffer, n, bytesOf(n), 0, segmentBytes);
  const taken: Buffer[] = [];
  for (let block = buffer.take(); block !== undefined; block = buffer.take()) taken.push(Buffer.from(block));
  const expected = Array.from({ length: 4_960 }, (_, i) => bytesOf(40 + i));
  expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true);
  expect([...capacities]).toEqual([1_024, 2_048, 4_096, 8_192]);
});

test("the limit is never beyond the last segment", () => {
  expect(
    limitOf(new ReorderBuffer({ firstSegment: 3, lastSegment: 5, segmentBytes, lastSegmentBytes: 1 }, memory())),
  ).toBe(6);
});

test("a whole block is known as one, also when the fetch began in its middle", () => {
  const buffer = new ReorderBuffer(
    { firstSegment: 30, lastSegment: 1_000, segmentBytes, lastSegmentBytes: segmentBytes },
    memory(),
  );
  put(buffer, 30, Buffer.alloc(segmentBytes), 0, segmentBytes);
  expect(buffer.hasWholeBlock).toBe(false);
  put(buffer, 31, Buffer.alloc(segmentBytes), 0, segmentBytes);
  expect(buffer.hasWholeBlock).toBe(true);
  expect(buffer.take()).toHaveLength(2 * segmentBytes);
});

test("what is there but not admitted holds everything behind it back, and can be replaced", () => {
  const buffer = new ReorderBuffer(
    { firstSegment: 0, lastSegment: 3, segmentBytes, lastSegmentBytes: segmentBytes },
    memory(),
  );
  put(buffer, 1, Buffer.alloc(segmentBytes), 0, segmentBytes);
  buffer.put(0, Buffer.alloc(segmentBytes, 1), 0, segmentBytes);
  expect([buffer.has(0), buffer.isHeld(0), buffer.isHeld(1), buffer.contiguous]).toEqual([true, true, false, 0]);
  expect(buffer.take()).toBeUndefined();
  buffer.reject(0);
  expect(buffer.has(0)).toBe(false);
  put(buffer, 0, Buffer.alloc(segmentBytes, 2), 0, segmentBytes);
  expect(buffer.take()!.subarray(0, segmentBytes)).toEqual(Buffer.alloc(segmentBytes, 2));
});

/** Behind the last segment that may be asked for. */
function limitOf(buffer: ReorderBuffer): number {
  while (buffer.canGrow) buffer.grow();
  return buffer.limit;
}

function put(buffer: ReorderBuffer, n: number, ...payload: [Buffer, number, number]): void {
  buffer.put(n, ...payload);
  buffer.admit(n);
}
