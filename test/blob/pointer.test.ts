import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePointer, encodePointer, type Pointer, pointerFields } from "#blob/pointer.ts";
import { type PointerTarget, pointerName, serverName } from "#blob/pointer-names.ts";
import { decodeCatalog, decodeTagList, encodeCatalog, encodeTagList, snapshotTypes } from "#blob/snapshots.ts";
import { decodeMetadata } from "#ndn/packet/data.ts";
import { parseName } from "#ndn/packet/name.ts";
import { encodeNni, readElements, TT, tlv } from "#ndn/packet/tlv.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";

const prefix = parseName("/example/registry");
const hint = serverName(prefix, "0123456789abcdef");

/** One that is right in everything. */
function pointerTo(inline: Buffer): Pointer {
  const digest = digestOfHash(hash("sha256", inline, "buffer"));
  const word = { mediaType: "application/json; charset=utf-8", maxAgeMs: 600_000, asOfMs: 1_764_340_000_000 };
  return { digest, sizeBytes: inline.length, segmentBytes: 8192, ...word, hint, inline };
}

const whole = pointerTo(Buffer.from("{}"));

const pointer = fc
  .record({
    content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    isInline: fc.boolean(),
    sizeBytes: fc.nat(20_000_000),
    segmentBytes: fc.constantFrom(8192 as const, 1200 as const),
    maxAgeMs: fc.maxSafeNat(),
    asOfMs: fc.maxSafeNat(),
    hasHint: fc.boolean(),
  })
  .map(({ content, isInline, hasHint, sizeBytes, ...rest }): Pointer => {
    const { digest, mediaType } = pointerTo(content);
    const size = isInline ? { sizeBytes: content.length, inline: content } : { sizeBytes };
    return { digest, mediaType, ...rest, ...size, ...(hasHint && { hint }) };
  });

test("a pointer reads back as it was written, and as metadata for those who know no more", () => {
  fc.assert(
    fc.property(pointer, (written) => {
      const content = encodePointer(prefix, written);
      expect(decodePointer(prefix, content)).toEqual(written);
      expect(decodeMetadata(content)).toMatchObject({ sizeBytes: written.sizeBytes });
    }),
  );
});

test("a pointer that is cut off or changed is none or another one, and never throws", () => {
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(pointer, fc.nat(400), fc.array(change, { maxLength: 4 }), (written, cut, changes) => {
      const content = encodePointer(prefix, written);
      for (const [at, byte] of changes) content[at % content.length] = byte;
      decodePointer(prefix, content.subarray(0, Math.max(0, content.length - cut)));
    }),
    { numRuns: 5_000 },
  );
});

/** Its Content with other elements in place of those of a type. */
function withField(type: number, ...values: Buffer[]): Buffer {
  const content = encodePointer(prefix, whole);
  const others = readElements(content)!.filter((element) => element.type !== type);
  return Buffer.concat([...others.map(({ at, end }) => content.subarray(at, end)), ...values]);
}

test.each<[string, Buffer]>([
  ["no media type", withField(pointerFields.MediaType)],
  ["an empty media type", withField(pointerFields.MediaType, tlv(pointerFields.MediaType))],
  [
    "a media type of two lines",
    withField(pointerFields.MediaType, tlv(pointerFields.MediaType, Buffer.from("a/b\r\nx: y"))),
  ],
  [
    "a media type that ends in a line feed",
    withField(pointerFields.MediaType, tlv(pointerFields.MediaType, Buffer.from("a/b\n"))),
  ],
  [
    "a long media type",
    withField(pointerFields.MediaType, tlv(pointerFields.MediaType, Buffer.from(`a/${"b".repeat(300)}`))),
  ],
  ["no age", withField(pointerFields.MaxAge)],
  ["an age of three bytes", withField(pointerFields.MaxAge, tlv(pointerFields.MaxAge, Buffer.alloc(3)))],
  ["no time", withField(pointerFields.AsOf)],
  ["a hint without a name", withField(pointerFields.ForwardingHint, tlv(pointerFields.ForwardingHint))],
  [
    "a hint elsewhere",
    withField(pointerFields.ForwardingHint, tlv(pointerFields.ForwardingHint, tlv(TT.Name, parseName("/other")))),
  ],
  ["other content inline", withField(pointerFields.Inline, tlv(pointerFields.Inline, Buffer.from("[]")))],
  ["more content inline", withField(pointerFields.Inline, tlv(pointerFields.Inline, Buffer.from("{} ")))],
  ["another size", withField(0xf502, tlv(0xf502, encodeNni(3)))],
  [
    "another last segment",
    withField(TT.FinalBlockId, tlv(TT.FinalBlockId, tlv(TT.SegmentNameComponent, encodeNni(1)))),
  ],
  ["a name that is no object", withField(TT.Name, tlv(TT.Name, prefix))],
  ["the metadata of nothing", Buffer.alloc(0)],
])("a pointer with %s is none", (_, content) => {
  expect(decodePointer(prefix, content)).toBeUndefined();
});

test("elements that are not known are ignored, and of repeated ones the first counts", () => {
  const content = encodePointer(prefix, whole);
  const more = [tlv(0xf6f0, Buffer.from("x")), tlv(pointerFields.AsOf, encodeNni(1)), tlv(pointerFields.Inline)];
  expect(decodePointer(prefix, Buffer.concat([content, ...more]))).toEqual(whole);
});

test("a list of tags is sorted by bytes, and reads back with what is known of each", () => {
  const digest = whole.digest;
  const tags = [{ name: "v10" }, { name: "v1", digest, asOf: 5 }, { name: "V2" }, { name: "_x" }];
  const read = decodeTagList("team/app", encodeTagList("team/app", tags));
  expect(read).toEqual([{ name: "V2" }, { name: "_x" }, { name: "v1", digest, asOf: 5 }, { name: "v10" }]);
});

test("the catalog is sorted, and reads back", () => {
  expect(decodeCatalog(encodeCatalog(["team/b", "team/a", "lib"]))).toEqual(["lib", "team/a", "team/b"]);
});

test.each<[string, unknown]>([
  ["no JSON", undefined],
  ["another repository", { name: "team/other", tags: [] }],
  ["no tags", { name: "team/app", tags: null }],
  ["what is no tag", { name: "team/app", tags: [{ name: "a/b" }] }],
  ["tags out of order", { name: "team/app", tags: [{ name: "b" }, { name: "a" }] }],
  ["a tag twice", { name: "team/app", tags: [{ name: "a" }, { name: "a" }] }],
])("a list of tags with %s is none", (_, json) => {
  expect(decodeTagList("team/app", Buffer.from(JSON.stringify(json) ?? "{"))).toBeUndefined();
});

test.each<[string, unknown]>([
  ["no repositories", {}],
  ["two dots", { repositories: [".."] }],
  ["repositories out of order", { repositories: ["b", "a"] }],
])("a catalog with %s is none", (_, json) => {
  expect(decodeCatalog(Buffer.from(JSON.stringify(json)))).toBeUndefined();
});

interface Vector {
  target: PointerTarget;
  nameHex: string;
  objectText: string;
  mediaType: string;
  chunkSize: 8192 | 1200;
  maxAgeMs: number;
  asOfMs: number;
  serverId?: string;
  isInline: boolean;
  contentHex: string;
}

const file = new URL("../wire-vectors.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as { prefix: string; pointers: Vector[] };

test.each(golden.pointers)("the pointer for $target is the golden one", (vector) => {
  const goldenPrefix = parseName(golden.prefix);
  expect(pointerName(goldenPrefix, vector.target).toString("hex")).toBe(vector.nameHex);
  const object = Buffer.from(vector.objectText);
  const written: Pointer = {
    digest: digestOfHash(hash("sha256", object, "buffer")),
    sizeBytes: object.length,
    segmentBytes: vector.chunkSize,
    mediaType: vector.mediaType,
    maxAgeMs: vector.maxAgeMs,
    asOfMs: vector.asOfMs,
    ...(vector.serverId && { hint: serverName(goldenPrefix, vector.serverId) }),
    ...(vector.isInline && { inline: object }),
  };
  expect(encodePointer(goldenPrefix, written).toString("hex")).toBe(vector.contentHex);
  expect(decodePointer(goldenPrefix, Buffer.from(vector.contentHex, "hex"))).toEqual(written);
});

test("the golden snapshots are written as they are", () => {
  const [tags, catalog] = ["tags", "catalog"].map(
    (kind) => golden.pointers.find(({ target }) => target.kind === kind)!,
  );
  expect([tags!.mediaType, catalog!.mediaType]).toEqual([snapshotTypes.tags, snapshotTypes.catalog]);
  const list = decodeTagList("library/alpine", Buffer.from(tags!.objectText))!;
  expect(list.map(({ digest }) => digest)).toContain(`sha256:${"ab".repeat(32)}` as Digest);
  expect(encodeTagList("library/alpine", list).toString()).toBe(tags!.objectText);
  expect(encodeCatalog(decodeCatalog(Buffer.from(catalog!.objectText))!).toString()).toBe(catalog!.objectText);
});
