import * as fc from "fast-check";
import { expect, test } from "vitest";
import { matchBytes } from "#delta/make/byte-match.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";

/** Bytes of few values, so that they have much in common by chance. */
const bytes = fc.array(fc.nat(3), { maxLength: 400 }).map((values) => Uint8Array.from(values));

test("matches cover any bytes in order, and name old bytes that are there", () => {
  fc.assert(
    fc.property(bytes, bytes, fc.nat(3), (old, other, mix) => {
      const fresh = mix === 0 ? other : Buffer.concat([old.subarray(mix * 20), other, old]);
      let covered = 0;
      for (const { oldStart, length, literals } of matchBytes(old, fresh)) {
        expect(Math.min(oldStart, length, literals)).toBeGreaterThanOrEqual(0);
        expect(oldStart + length).toBeLessThanOrEqual(old.length);
        covered += length + literals;
      }
      expect(covered).toBe(fresh.length);
    }),
  );
});

test("a program whose addresses all moved is one match, and an insertion begins another", () => {
  const old = randomBytesOf("program", 200_000);
  const fresh = Buffer.from(old);
  for (let at = 20; at < fresh.length; at += 25) fresh.writeUInt16LE((fresh.readUInt16LE(at) + 0x1234) & 0xffff, at);
  const inserted = randomBytesOf("inserted", 1000);
  const matches = [...matchBytes(old, Buffer.concat([fresh.subarray(0, 90_000), inserted, fresh.subarray(90_000)]))];
  expect(matches.map(({ oldStart }) => Math.round(oldStart / 1000))).toEqual([0, 90]);
  expect(matches[0]!.literals).toBeGreaterThan(950);
});

test("what has moved is found where it was", () => {
  const [a, b] = [randomBytesOf("a", 50_000), randomBytesOf("b", 50_000)];
  const matches = [...matchBytes(Buffer.concat([a, b]), Buffer.concat([b, a]))].filter(({ length }) => length > 0);
  expect(matches.map(({ oldStart, length }) => [oldStart, length])).toEqual([
    [50_000, 50_000],
    [0, 50_000],
  ]);
});
