import fc from "fast-check";
import { expect, test } from "vitest";
import { formatContentRange, formatRange, parseContentRange, parseRange, resolveRange } from "#oci/body-headers.ts";

test.each([
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=0-99", { start: 0, end: 100 }],
  ["Bytes=5-", { start: 5, end: undefined }],
  ["bytes=-500", { suffix: 500 }],
  ["bytes=007-8", { start: 7, end: 9 }],
])("%s is one range", (header, range) => {
  expect(parseRange(header)).toEqual(range);
});

test.each([undefined, "", "bytes", "bytes=", "bytes=-", "bytes=5-3", "bytes=abc", "bytes=0-1,3-4", "lines=0-1"])(
  "%s is no single range",
  (header) => {
    expect(parseRange(header)).toBeUndefined();
  },
);

test.each(["bytes=1.5-2", "bytes=+1-2", "bytes=1--2", "bytes=0x1-2", "bytes= 1 - 2", "bytes=1-2 3"])(
  "%s is nonsense",
  (header) => {
    expect(parseRange(header)).toBeUndefined();
  },
);

test("a last position beyond what numbers can hold means the end", () => {
  const range = parseRange("bytes=10-9223372036854775807")!;
  expect(resolveRange(range, 100)).toEqual({ start: 10, end: 100 });
});

test.each([
  ["bytes=500-1499", 1000, { start: 500, end: 1000 }],
  ["bytes=-500", 100, { start: 0, end: 100 }],
  ["bytes=99-", 100, { start: 99, end: 100 }],
  ["bytes=100-", 100, undefined],
  ["bytes=-0", 100, undefined],
  ["bytes=0-", 0, undefined],
  ["bytes=-5", 0, undefined],
])("%s of %d bytes", (header, sizeBytes, selected) => {
  expect(resolveRange(parseRange(header)!, sizeBytes)).toEqual(selected);
});

test("a satisfiable range lies within the blob, whatever was asked", () => {
  const header = fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,20}-\d{0,20}$/));
  fc.assert(
    fc.property(header, fc.nat(), (text, sizeBytes) => {
      const range = parseRange(text);
      const selected = range && resolveRange(range, sizeBytes);
      if (selected === undefined) return;
      expect(selected.start).toBeGreaterThanOrEqual(0);
      expect(selected.start).toBeLessThan(selected.end);
      expect(selected.end).toBeLessThanOrEqual(sizeBytes);
    }),
  );
});

test("what is formatted parses back", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 1e9 }), fc.nat(), (start, length, rest) => {
      const [end, sizeBytes] = [start + length, start + length + rest];
      expect(parseRange(formatRange(start, end))).toEqual({ start, end });
      expect(parseRange(formatRange(start))).toEqual({ start, end: undefined });
      expect(parseContentRange(formatContentRange({ start, end }, sizeBytes))).toEqual({ start, end, sizeBytes });
    }),
  );
});

test("Content-Range may leave the size open, or refuse", () => {
  expect(parseContentRange("bytes 0-9/*")).toEqual({ start: 0, end: 10, sizeBytes: undefined });
  expect(parseContentRange("bytes */0")).toEqual({ unsatisfied: true, sizeBytes: 0 });
});

test.each([undefined, "", "bytes 5-3/10", "bytes 0-10/10", "bytes */*", "bytes 0-9", "items 0-9/10", "bytes=0-9/10"])(
  "Content-Range %s says nothing",
  (header) => {
    expect(parseContentRange(header)).toBeUndefined();
  },
);

test("no Content-Range makes the parser throw", () => {
  const header = fc.oneof(fc.string(), fc.stringMatching(/^bytes (\d{0,20}-\d{0,20}|\*)\/(\d{0,20}|\*)$/));
  fc.assert(fc.property(header, (text) => void parseContentRange(text)));
});
