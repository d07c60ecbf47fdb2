import fc from "fast-check";
import { expect, test } from "vitest";
import {
  checkPrefixLength,
  digestListName,
  digestListOf,
  digestListRange,
  metadataName,
  objectName,
  parseBlobName,
  plainName,
  repositoryName,
  repositoryOfHint,
} from "#blob/names.ts";
import { generic, joinName, keyword, type Name, parseName, segment, version } from "#ndn/packet/name.ts";
import { tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash, hashOf } from "#oci/reference.ts";

const prefix = parseName("/example/registry");
const hash = Buffer.alloc(32, 0xd1);
const digest = digestOfHash(hash);
const D = generic(hash);

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const separator = fc.constantFrom(".", "_", "__", "-", "---");
const pathComponent = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(""));
const repository = fc.array(pathComponent, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
const anyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => digestOfHash(bytes));
const segmentNumber = fc.oneof(fc.constantFrom(0, 255, 256, 65_535, 65_536, 0xffffffff), fc.nat(0xffffffff));

/** A name under the prefix. */
function under(...parts: Name[]): Name {
  return joinName(prefix, ...parts);
}

test("metadata and plain names of every repository read back", () => {
  fc.assert(
    fc.property(repository, anyDigest, segmentNumber, (repository, digest, number) => {
      const blob = { digest, repository };
      expect(parseBlobName(prefix, metadataName(prefix, repository, digest))).toEqual({
        kind: "metadata",
        ...blob,
        isUnique: false,
      });
      const object = plainName(prefix, repository, digest);
      const name = joinName(object, segment(number));
      expect(parseBlobName(prefix, name)).toEqual({ kind: "plain", ...blob, number, object });
    }),
  );
});

test("segment names of both sizes read back", () => {
  fc.assert(
    fc.property(anyDigest, fc.constantFrom(8192 as const, 1200 as const), segmentNumber, (digest, size, number) => {
      const object = objectName(prefix, digest, size);
      const name = joinName(object, segment(number));
      expect(parseBlobName(prefix, name)).toEqual({ kind: "segment", digest, size, number, object });
    }),
  );
});

test("names of digest lists read back, and where each segment's digest is", () => {
  const object = objectName(prefix, digest, 8192);
  fc.assert(
    fc.property(segmentNumber, (number) => {
      const name = digestListName(object, number);
      const list = { kind: "digests", digest, size: 8192, number };
      expect(parseBlobName(prefix, name)).toEqual({ ...list, isUnique: false });
      const unique = joinName(name, tlv(2, Buffer.alloc(32)));
      expect(parseBlobName(prefix, unique)).toEqual({ ...list, isUnique: true });
    }),
  );
  for (let n = 0; n < 1_000; n++) {
    const { start, end } = digestListRange(digestListOf(n), 999);
    expect(n >= start && n < end && end <= 1_000).toBe(true);
  }
  expect([0, 15, 16, 255, 256].map((n) => digestListOf(n))).toEqual([0, 0, 1, 1, 2]);
});

test("metadata may be asked for this Interest alone, segments and plain names may not", () => {
  const parameters = tlv(2, Buffer.alloc(32));
  const metadata = joinName(metadataName(prefix, "team/app", digest), parameters);
  expect(parseBlobName(prefix, metadata)).toMatchObject({ kind: "metadata", isUnique: true });
  for (const object of [objectName(prefix, digest, 8192), plainName(prefix, "team/app", digest)]) {
    expect(parseBlobName(prefix, joinName(object, segment(1), parameters))).toBeUndefined();
  }
});

test("a blob whose digest looks like components of a name is read like any other", () => {
  const tricky = digestOfHash(Buffer.from("3201003202000036022000".padEnd(64, "0"), "hex"));
  const name = joinName(objectName(prefix, tricky, 8192), segment(3));
  expect(parseBlobName(prefix, name)).toMatchObject({ kind: "segment", digest: tricky, number: 3 });
});

const team = generic("team");
test.each<[string, Name]>([
  ["the prefix alone", prefix],
  ["another prefix", joinName(parseName("/example/registrz"), D, version(8192), segment(0))],
  ["only a segment", under(segment(0))],
  ["a blob without anything behind it", under(team, D)],
  ["a version without a segment", under(D, version(8192))],
  ["another size", under(D, version(4096), segment(0))],
  ["no size", under(D, segment(0))],
  ["a repository in a segment name", under(team, D, version(8192), segment(0))],
  ["a segment number with a leading zero", under(D, version(8192), tlv(50, Buffer.of(0, 1)))],
  ["a segment number of three bytes", under(D, version(8192), tlv(50, Buffer.of(1, 0, 0)))],
  ["a segment number of no bytes", under(D, version(8192), tlv(50, Buffer.alloc(0)))],
  ["a segment number beyond 32 bits", under(D, version(8192), segment(2 ** 32))],
  ["a size with leading zeros", under(D, tlv(54, Buffer.of(0, 0, 0x20, 0)), segment(0))],
  ["a plain segment number with a leading zero", under(team, D, tlv(50, Buffer.of(0, 1)))],
  ["an unknown keyword", under(team, D, keyword("meta"))],
  ["metadata of no repository", under(D, keyword("metadata"))],
  ["a digest list in a repository", under(team, D, keyword("digests"), segment(0))],
  ["a digest of 31 bytes", under(team, generic(hash.subarray(1)), keyword("metadata"))],
  ["a digest of 33 bytes", under(generic(Buffer.alloc(33)), version(8192), segment(0))],
  ["a digest that is a keyword", under(team, tlv(32, hash), keyword("metadata"))],
  ["two dots", under(team, generic(".."), D, keyword("metadata"))],
  ["two dots in a plain name", under(generic(".."), generic(".."), D, segment(0))],
  ["one dot", under(generic("."), D, segment(0))],
  ["an empty component", under(team, generic(""), D, keyword("metadata"))],
  ["upper case", under(generic("Team"), D, keyword("metadata"))],
  ["a slash within a component", under(generic("team/app"), D, keyword("metadata"))],
  ["an escaped slash", under(generic("team%2Fapp"), D, keyword("metadata"))],
  ["a zero byte", under(generic("team\0"), D, keyword("metadata"))],
  ["a line feed at the end", under(generic("team\n"), D, segment(0))],
  ["bytes that are no UTF-8", under(generic(Buffer.of(0xff)), D, keyword("metadata"))],
  ["a repository of 256 characters", under(generic("a".repeat(256)), D, keyword("metadata"))],
  ["a component of another type in the repository", under(tlv(9, Buffer.from("team")), D, segment(0))],
  ["metadata with a version behind it", under(team, D, keyword("metadata"), version(1), segment(0))],
])("%s is silence", (_, name) => {
  expect(parseBlobName(prefix, name)).toBeUndefined();
});

test("bytes of any kind under the prefix are silence or a request, never an error", () => {
  const bytes = fc.array(fc.constantFrom(8, 32, 50, 54, 0, 1, 2, 0x20, 0xfd, 0xff), { maxLength: 60 });
  fc.assert(
    fc.property(bytes, fc.boolean(), (tail, withDigest) => {
      parseBlobName(prefix, joinName(prefix, withDigest ? D : Buffer.alloc(0), Buffer.from(tail)));
      repositoryOfHint(prefix, joinName(prefix, Buffer.from(tail)));
    }),
    { numRuns: 2_000 },
  );
});

test("a hint names the repository behind the prefix", () => {
  fc.assert(
    fc.property(repository, (repository) => {
      expect(repositoryOfHint(prefix, repositoryName(prefix, repository))).toBe(repository);
    }),
  );
});

test.each<[string, Name]>([
  ["the prefix alone", prefix],
  ["another prefix", parseName("/other/team")],
  ["two dots", under(generic(".."))],
  ["a slash within a component", under(generic("a/b"))],
  ["a keyword", under(keyword("team"))],
])("a hint that is %s names none", (_, hint) => {
  expect(repositoryOfHint(prefix, hint)).toBeUndefined();
});

test("a prefix that leaves no room for a full segment is refused, with the excess", () => {
  const longest = (bytes: number) => parseName(`/${"a".repeat(bytes)}`);
  let fits = 0;
  for (let bytes = 300; bytes < 600; bytes++) {
    try {
      checkPrefixLength(longest(bytes));
      fits = bytes;
    } catch (err: unknown) {
      expect(String(err)).toContain(`is ${bytes - fits} bytes too long: segments would exceed 8760`);
      break;
    }
  }
  expect(fits).toBeGreaterThan(350);
  expect(hashOf(digest)).toEqual(hash);
});
