import { describe, expect, test } from "vitest";
import { bytesReader } from "#delta/random-reader.ts";
import { tarFiles } from "#delta/tar/tar-files.ts";
import { type BuiltEntry, buildEntry, buildTar, paxRecords } from "./tar-builder.ts";

/** Names and contents. */
function filesOf(tar: Uint8Array): [string, string][] {
  const files = [...tarFiles(bytesReader(tar))];
  return files.map(({ name, start, end }) => [name, Buffer.from(tar.subarray(start, end)).toString("latin1")]);
}

const last = { name: "last", content: Buffer.from("end") };
const text = (words: string) => Buffer.from(words, "latin1");

describe("of a tar", () => {
  const cases: [string, BuiltEntry[], [string, string][]][] = [
    ["the names of ustar are joined", [{ name: "c", prefix: "a/b", content: text("x") }], [["a/b/c", "x"]]],
    ["./ and / before a name are left out", [{ name: "././/etc/x", content: text("x") }], [["etc/x", "x"]]],
    ["old headers without a magic are read", [{ name: "old", content: text("x"), isV7: true }], [["old", "x"]]],
    ["what has no content is no file", [{ name: "empty" }, { name: "dir/", type: "5" }], []],
    ["a type that no one knows is a file", [{ name: "odd", type: "Z", content: text("odd") }], [["odd", "odd"]]],
    [
      "links, devices and FIFOs have no content, whatever size they name",
      ["1", "2", "3", "4", "6"].map((type) => ({ name: `t${type}`, type, sizeField: "00000001000", link: "x" })),
      [],
    ],
    [
      "a long name of GNU's is the next file's",
      [
        { name: "././@LongLink", type: "L", content: text(`${"n".repeat(300)}\0`) },
        { name: "././@LongLink", type: "K", content: text("target\0") },
        { name: "n".repeat(100), content: text("x") },
      ],
      [["n".repeat(300), "x"]],
    ],
    [
      "path and size of pax are the next file's, and its only",
      [
        { name: "pax", type: "x", content: paxRecords({ mtime: "1.5", path: "ä/long", size: "3" }) },
        { name: "short", content: text("abc"), sizeField: "00000000000" },
        { name: "other", content: text("o") },
      ],
      [
        [text("Ã¤/long").toString("latin1"), "abc"],
        ["other", "o"],
      ],
    ],
    [
      "of a name that is too long, the beginning counts",
      [
        { name: "pax", type: "x", content: paxRecords({ path: "n".repeat(5000) }) },
        { name: "f", content: text("x") },
      ],
      [["n".repeat(4096), "x"]],
    ],
    [
      "a global header of pax names no file",
      [
        { name: "pax", type: "g", content: paxRecords({ path: "all", comment: "c" }) },
        { name: "f", content: text("x") },
      ],
      [["f", "x"]],
    ],
    [
      "broken records of pax are passed over",
      [
        { name: "pax", type: "x", content: text("99 path=x\n0 a=b\nno record") },
        { name: "f", content: text("x") },
      ],
      [["f", "x"]],
    ],
    [
      "extended attributes are not taken for content",
      [
        { name: "pax", type: "x", content: paxRecords({ "SCHILY.xattr.user.a": "\0\n12 path=wrong\n" }) },
        { name: "f", content: text("x") },
      ],
      [["f", "x"]],
    ],
    [
      "the name of a sparse file of pax is its own",
      [
        { name: "pax", type: "x", content: paxRecords({ "GNU.sparse.major": "1", "GNU.sparse.name": "real" }) },
        { name: "GNUSparseFile.0/real", content: text("1\n0\n3\nabc") },
      ],
      [["real", "1\n0\n3\nabc"]],
    ],
    [
      "a binary size is read",
      [{ name: "big", content: text("abc"), sizeField: Buffer.from("800000000000000000000003", "hex") }],
      [["big", "abc"]],
    ],
  ];
  test.each(cases)("%s", (_, entries, files) => {
    expect(filesOf(buildTar([...entries, last]))).toEqual([...files, ["last", "end"]]);
  });

  test("the blocks that continue a sparse map are no content", () => {
    const map = [Buffer.alloc(512), Buffer.alloc(512)];
    map[0]![504] = 1;
    const header = buildEntry({ name: "s", type: "S", sizeField: "00000000003", fields: [[482, Buffer.from([1])]] });
    const tar = Buffer.concat([header, ...map, text("abc"), Buffer.alloc(509), buildTar([last])]);
    expect(filesOf(tar)).toEqual([
      ["s", "abc"],
      ["last", "end"],
    ]);
  });

  test("what is no header is passed over, and what follows is found", () => {
    const damaged = Buffer.from(buildEntry({ name: "damaged", content: text("lost") }));
    damaged[0] = damaged[0]! ^ 1;
    const junk = Buffer.alloc(1536, "junk");
    expect(filesOf(Buffer.concat([damaged, junk, buildTar([last]), buildTar([last])]))).toEqual([
      ["last", "end"],
      ["last", "end"],
    ]);
  });

  test.each(["ffffffffffffffffffffffff", "807fffffffffffffffffffff", "3939393939393939393939"])(
    "a header with the size %s is none",
    (hex) => {
      const entry = { name: "wrong", sizeField: Buffer.from(hex, "hex") };
      expect(filesOf(buildTar([entry, last]))).toEqual([["last", "end"]]);
    },
  );

  test("a file that is cut off ends with the tar", () => {
    const tar = buildTar([{ name: "cut", content: Buffer.alloc(5000, "c") }]).subarray(0, 3000);
    expect(filesOf(tar)).toEqual([["cut", "c".repeat(3000 - 512)]]);
  });

  test.each([0, 1, 511, 512, 513])("%i bytes of a tar are no error", (length) => {
    expect(filesOf(buildTar([last]).subarray(0, length))).toEqual(length > 512 ? [["last", "e"]] : []);
  });
});
