import fc from "fast-check";
import { expect, test } from "vitest";
import { parseBlobName, repositoryOfHint } from "#blob/names.ts";
import { isServerName, type PointerTarget, parsePointerName, pointerName, serverName } from "#blob/pointer-names.ts";
import { generic, joinName, keyword, type Name, parseName, segment, version } from "#ndn/packet/name.ts";
import { tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash } from "#oci/reference.ts";

const prefix = parseName("/example/registry");
const digest = digestOfHash(Buffer.alloc(32, 0xd1));
const D = generic(Buffer.alloc(32, 0xd1));
const team = generic("team");
const metadata = keyword("metadata");

const repository = fc
  .array(fc.stringMatching(/^[a-z0-9]{1,40}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"));
const tag = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/),
  fc.stringMatching(/^[a-z]{32}$/), // as long as a digest is
  fc.constantFrom("latest", `sha256-${"0".repeat(64)}`, `sha256-${"0".repeat(64)}.sig`),
);
const anyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => digestOfHash(bytes));
const target: fc.Arbitrary<PointerTarget> = fc.oneof(
  fc.record({ kind: fc.constant("tag" as const), repository, tag }),
  fc.record({ kind: fc.constantFrom("manifest" as const, "referrers" as const), repository, digest: anyDigest }),
  fc.record({ kind: fc.constant("tags" as const), repository }),
  fc.constant({ kind: "catalog" as const }),
);

test("names of pointers read back, for all and for one Interest, and are no names of blobs", () => {
  fc.assert(
    fc.property(target, (target) => {
      const name = pointerName(prefix, target);
      expect(parsePointerName(prefix, name)).toEqual({ target, isUnique: false });
      const unique = joinName(name, tlv(2, Buffer.alloc(32)));
      expect(parsePointerName(prefix, unique)).toEqual({ target, isUnique: true });
      expect(parseBlobName(prefix, name)).toBeUndefined();
    }),
  );
});

function under(...parts: Name[]): Name {
  return joinName(prefix, ...parts);
}

test.each<[string, Name]>([
  ["the prefix alone", prefix],
  ["metadata alone", under(metadata)],
  ["another prefix", joinName(parseName("/example/registrz"), keyword("catalog"), metadata)],
  ["metadata of a blob", under(team, D, metadata)],
  ["a catalog of a repository", under(team, keyword("catalog"), metadata)],
  ["tags of no repository", under(keyword("tags"), metadata)],
  ["a tag of no repository", under(keyword("tag"), generic("latest"), metadata)],
  ["a tag without a name", under(team, keyword("tag"), metadata)],
  ["an empty tag", under(team, keyword("tag"), generic(""), metadata)],
  ["a tag of 129 characters", under(team, keyword("tag"), generic("a".repeat(129)), metadata)],
  ["a tag with a slash", under(team, keyword("tag"), generic("a/b"), metadata)],
  ["a tag that begins with a dot", under(team, keyword("tag"), generic(".."), metadata)],
  ["a tag with a line feed", under(team, keyword("tag"), generic("latest\n"), metadata)],
  ["a tag that is no UTF-8", under(team, keyword("tag"), generic(Buffer.of(0xff)), metadata)],
  ["a tag that is a keyword", under(team, keyword("tag"), keyword("latest"), metadata)],
  ["a digest that is a text", under(team, keyword("manifest"), generic(digest), metadata)],
  ["referrers of nothing", under(team, keyword("referrers"), metadata)],
  ["an unknown keyword", under(team, keyword("label"), generic("latest"), metadata)],
  ["a keyword within the repository", under(team, keyword("x"), keyword("tags"), metadata)],
  ["two dots as repository", under(generic(".."), keyword("tags"), metadata)],
  ["upper case in the repository", under(generic("Team"), keyword("tags"), metadata)],
  ["a version behind it", under(keyword("catalog"), metadata, version(1), segment(0))],
  ["no metadata", under(team, keyword("tag"), generic("latest"))],
  ["other metadata", under(team, keyword("tags"), keyword("meta"))],
])("%s is none", (_, name) => {
  expect(parsePointerName(prefix, name)).toBeUndefined();
});

test("bytes of any kind under the prefix are silence or a request, never an error", () => {
  const piece = fc.oneof(
    fc.constantFrom(team, D, metadata, keyword("tag"), keyword("tags"), keyword("catalog"), keyword("manifest")),
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      parsePointerName(prefix, under(...pieces));
      isServerName(prefix, under(...pieces));
    }),
    { numRuns: 5_000 },
  );
});

test("one server's name is no repository, and nothing else is a server's name", () => {
  const name = serverName(prefix, "0123456789abcdef");
  expect(isServerName(prefix, name)).toBe(true);
  expect(repositoryOfHint(prefix, name)).toBeUndefined();
  const others = [
    prefix,
    under(team),
    joinName(name, team),
    serverName(prefix, "0123456789ABCDEF"),
    serverName(prefix, "0123"),
    serverName(parseName("/other"), "0123456789abcdef"),
  ];
  for (const other of others) expect(isServerName(prefix, other)).toBe(false);
});
