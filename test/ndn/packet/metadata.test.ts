import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeMetadata, encodeMetadata } from "#ndn/packet/data.ts";
import { parseName } from "#ndn/packet/name.ts";
import { arbName } from "./arbitraries.ts";

const metadata = fc.record({
  name: arbName.map((name) => Buffer.from(name.value)),
  lastSegment: fc.nat(0xffffffff),
  segmentBytes: fc.constantFrom(1200, 8192),
  sizeBytes: fc.maxSafeNat(),
});

test("metadata reads back as it was written", () => {
  fc.assert(
    fc.property(metadata, (written) => {
      expect(decodeMetadata(encodeMetadata(written))).toEqual(written);
    }),
  );
});

test("metadata that is cut off or changed never throws", () => {
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(metadata, fc.nat(80), fc.array(change, { maxLength: 4 }), (written, cut, changes) => {
      const content = encodeMetadata(written);
      for (const [at, byte] of changes) content[at % content.length] = byte;
      decodeMetadata(content.subarray(0, Math.max(0, content.length - cut)));
    }),
    { numRuns: 1_000 },
  );
});

test("metadata without one of its fields is none", () => {
  expect(decodeMetadata(Buffer.alloc(0))).toBeUndefined();
  const whole = encodeMetadata({ name: parseName("/A"), lastSegment: 0, segmentBytes: 8192, sizeBytes: 1 });
  expect(decodeMetadata(whole.subarray(5))).toBeUndefined(); // the Name is missing
});
