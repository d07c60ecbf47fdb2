import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { DeltaError } from "#delta/format/delta-error.ts";
import { pack } from "#delta/format/packing.ts";
import type { Operation } from "#delta/format/plan.ts";
import { dictionaryOf } from "#delta/format/ranges.ts";
import { bytesReader } from "#delta/random-reader.ts";
import { applied, idOf } from "./deltas.ts";
import { type HandMadeBlock, handMade } from "./hand-made.ts";

const base = Buffer.from("the bytes of the base");
const target = Buffer.from("the bytes of the target");
const copy = (start: number, length: number): Operation => ({ kind: "copy", start, length });
const content = (length: number, part = 0): Operation => ({ kind: "content", part, length });
const right: HandMadeBlock = { operations: [copy(0, 17), content(6)], parts: [{ contents: Buffer.from("target") }] };

const apply = (...blocks: (HandMadeBlock | Uint8Array)[]) =>
  applied(base, handMade(base, target, blocks), idOf(target));

describe("a delta", () => {
  test("is applied block by block", () => {
    const first = { operations: [copy(0, 4), { kind: "header", length: 2 } as const], headers: Buffer.from("by") };
    const second = { ...right, operations: [copy(6, 11), content(6)] };
    expect(apply(first, second)).toEqual(target);
  });

  test("adds differences to bytes of the base", () => {
    const last = target.subarray(17).map((byte, index) => byte - base[12 + index]!);
    const differences = Buffer.concat([Buffer.from([0, 6]), last]);
    const operations = [copy(0, 17), { kind: "difference", part: 0, start: 12, length: 6 } as const];
    expect(apply({ operations, parts: [{ differences }] })).toEqual(target);
  });

  test("may begin a dictionary with the bytes that mark trained ones", () => {
    const odd = Buffer.concat([Buffer.from("37a430ec", "hex"), Buffer.alloc(600, "nothing trained")]);
    const range = { start: 0, end: odd.length };
    const packed = pack(odd, 9, dictionaryOf(bytesReader(odd), [range]));
    expect(packed.length).toBeLessThan(40);
    const parts = [{ dictionary: [range], contents: { plainBytes: odd.length, packed } }];
    const delta = handMade(odd, odd, [{ operations: [content(odd.length)], parts }]);
    expect(applied(odd, delta, idOf(odd))).toEqual(odd);
  });

  test("for another base, or to another tar, is refused before a byte is written", () => {
    const delta = handMade(base, target, [right]);
    expect(() => applied(Buffer.from("another base"), delta, idOf(target))).toThrow(/for a base of sha256/);
    expect(() => applied(base, delta, idOf(base))).toThrow(/gives a tar of sha256/);
  });

  test("of a later version is refused", () => {
    const delta = handMade(base, target, [right]);
    delta[7] = 2;
    expect(() => applied(base, delta, idOf(target))).toThrow(/no delta of version 1/);
  });

  test("that is cut off anywhere, or goes on, is refused", () => {
    const delta = handMade(base, target, [right]);
    for (let length = 0; length < delta.length; length++)
      expect(() => applied(base, delta.subarray(0, length), idOf(target))).toThrow(DeltaError);
    expect(() => applied(base, Buffer.concat([delta, Buffer.alloc(1)]), idOf(target))).toThrow(DeltaError);
  });

  test("in which any one bit is another is refused", () => {
    const delta = handMade(base, target, [right]);
    for (let bit = 0; bit < delta.length * 8; bit++) {
      const spoilt = Buffer.from(delta);
      spoilt[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => applied(base, spoilt, idOf(target))).toThrow(DeltaError);
    }
  });
});

const mib = 1 << 20;
const zeros = (length: number) => ({ plainBytes: length, packed: zstdCompressSync(Buffer.alloc(length)) });
const wrong: [string, HandMadeBlock | Uint8Array, RegExp][] = [
  ["gives too few bytes", { operations: [copy(0, 17)] }, /lacks 6 bytes/],
  ["gives too many bytes", { operations: [copy(0, 20), copy(0, 20)] }, /more than 23 bytes/],
  ["gives other bytes", { operations: [copy(0, 17), copy(0, 6)] }, /has sha256/],
  ["copies what is not in the base", { operations: [copy(20, 2)] }, /bytes 20 to 22 of a base of 21/],
  ["copies from before the base", { operations: [copy(-1, 2)] }, /bytes -1 to 1/],
  ["makes no bytes", { operations: [copy(3, 0)] }, /makes no byte/],
  ["names a part that is not there", { operations: [content(1, 1)], parts: [{}] }, /part 1 of 1/],
  ["takes more contents than there are", { operations: [content(7)], parts: right.parts! }, /fewer are left/],
  ["takes more headers than there are", { operations: [{ kind: "header", length: 1 }] }, /fewer are left/],
  ["leaves contents", { operations: [copy(0, 17), content(5), copy(0, 1)], parts: right.parts! }, /more bytes than/],
  ["leaves headers", { ...right, headers: Buffer.from("h") }, /more bytes than/],
  [
    "leaves differences",
    { ...right, parts: [{ ...right.parts![0]!, differences: Buffer.from([0, 1, 1]) }] },
    /more diff/,
  ],
  [
    "has a section that is no zstd",
    { operations: [], headers: { plainBytes: 9, packed: Buffer.alloc(8) } },
    /unpacked/,
  ],
  ["unpacks to more than it says", { operations: [], headers: { ...zeros(9000), plainBytes: 8999 } }, /unpacked/],
  ["unpacks to less than it says", { operations: [], headers: { ...zeros(9000), plainBytes: 9001 } }, /fewer bytes/],
  ["unpacks to more than a block may", { operations: [], headers: zeros(33 * mib) }, /unpacks to/],
  [
    "has a dictionary outside the base",
    { operations: [], headerDictionary: [{ start: 0, end: 22 }] },
    /of a base of 21/,
  ],
  ["has too many parts", { operations: [], parts: Array(257).fill({}) }, /257 parts/],
  ["has too many ranges", { operations: [], headerDictionary: Array(65_537).fill({ start: 0, end: 1 }) }, /ranges/],
  ["goes on behind its sections", Buffer.from([0, 0, 0, 0, 0, 9]), /goes on/],
  ["has no plan", Buffer.from([0, 0, 0, 0, 0]), /ends too early/],
];

describe("a delta is refused if a block", () => {
  test.each(wrong)("%s", (_, block, message) => {
    const refused = () => apply(block);
    expect(refused).toThrow(message);
    expect(refused).toThrow(DeltaError);
  });

  test("has a dictionary that is too long", () => {
    const large = Buffer.alloc(17 * mib);
    const block = { operations: [copy(0, 1)], headerDictionary: [{ start: 0, end: large.length }] };
    expect(() => applied(large, handMade(large, target, [block]), idOf(target))).toThrow(/more than 16777216 bytes/);
  });
});

test("a delta is refused if its dictionaries together are too long", () => {
  const large = Buffer.alloc(16 * mib);
  const parts = [{ dictionary: [{ start: 0, end: large.length }], contents: zeros(1000) }];
  const many = Buffer.alloc(6000);
  const block = { operations: [content(1000)], parts };
  expect(() => applied(large, handMade(large, many, Array(6).fill(block)), idOf(many))).toThrow(/dictionaries/);
});
