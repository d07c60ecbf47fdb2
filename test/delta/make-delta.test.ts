import { describe, expect, test } from "vitest";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { applied, deltaBetween, idOf } from "./deltas.ts";
import { type BuiltEntry, buildTar, paxRecords } from "./tar-builder.ts";

/** Bytes of the delta, which has been applied. */
function deltaSize(base: Uint8Array, target: Uint8Array): number {
  const delta = deltaBetween(base, target);
  expect(applied(base, delta, idOf(target)).equals(target)).toBe(true);
  return delta.length;
}

const file = (name: string, content = randomBytesOf(name, 2000), mtime = 1_764_200_000): BuiltEntry => ({
  name,
  content,
  mtime,
});
const names = Array.from({ length: 300 }, (_, number) => `usr/lib/package-${number % 7}/file-${number}.js`);

describe("of two tars", () => {
  test("that are the same, a delta is a frame and a copy", () => {
    const tar = buildTar(names.map((name) => file(name)));
    expect(deltaSize(tar, tar)).toBeLessThan(180);
  });

  test("that differ in times, a delta has some bytes for each file", () => {
    const [before, after] = [1_764_200_000, 1_764_300_000].map((mtime) =>
      buildTar(names.map((name) => file(name, undefined, mtime))),
    );
    expect(deltaSize(before!, after!)).toBeLessThan(300 * 20);
  });

  test.each([
    ["moved to another folder", "a/program", "b/c/other"],
    ["given another version", "lib/x-1.2.3/program", "lib/x-1.3.0-rc.1/program"],
  ])("a file that was %s, and changed a little, does not travel again", (_, old, fresh) => {
    const changed = Buffer.concat([randomBytesOf("p", 40_000), Buffer.from("new"), randomBytesOf("q", 40_000)]);
    const before = [file("first"), file(old, Buffer.concat([randomBytesOf("p", 40_000), randomBytesOf("q", 40_000)]))];
    const size = deltaSize(buildTar(before), buildTar([file(fresh, changed), file("first")]));
    expect(size).toBeLessThan(1000);
  });

  test("the order of files costs a copy each", () => {
    const entries = names.map((name) => file(name));
    expect(deltaSize(buildTar(entries), buildTar(entries.toReversed()))).toBeLessThan(300 * 12);
  });

  test("links, devices and extended attributes come out as they were", () => {
    const odd: BuiltEntry[] = [
      { name: "dev", type: "3", fields: [[329, Buffer.from("0000001\x000000003\0")]] },
      { name: "link", type: "2", link: "target" },
      { name: "hard", type: "1", link: "first", sizeField: "00000003720" },
      { name: "pax", type: "x", content: paxRecords({ "SCHILY.xattr.security.capability": "\x01\0\0\x02" }) },
      file("first"),
      { name: "fifo", type: "6" },
    ];
    expect(deltaSize(buildTar(odd), buildTar([file("new"), ...odd]))).toBeLessThan(3000);
  });
});

test("parts of a file of 24 MiB that have moved by 12 MiB are found", { timeout: 120_000 }, () => {
  const [a, b] = [randomBytesOf("half a", 12 << 20), randomBytesOf("half b", 12 << 20)];
  const [before, after] = [
    [a, b],
    [b, a],
  ].map((halves) => buildTar([file("program", Buffer.concat(halves))]));
  expect(deltaSize(before!, after!)).toBeLessThan(2000);
});

test("bytes that are no tar are compared as one file", () => {
  const before = randomBytesOf("no tar", 300_000);
  const after = Buffer.concat([before.subarray(0, 100_000), Buffer.from("inserted"), before.subarray(100_000)]);
  expect(deltaSize(before, after)).toBeLessThan(1000);
});
