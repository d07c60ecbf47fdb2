import { expect, test } from "vitest";
import { digestOf, memoryContents } from "#client/manifests/contents.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import { digestName, parseName, repositoryKey, tagName } from "#client/manifests/manifest-names.ts";

const key = repositoryKey("docker.io", "library/alpine");

async function start(maxEntries?: number) {
  const contents = memoryContents();
  const cache = new ManifestCache({ contents, maxEntries });
  /** A manifest whose bytes are its name. */
  const see = async (name: string, { isCached = true, contentType = "a/b" } = {}) => {
    const bytes = Buffer.from(name);
    const digest = digestOf(bytes);
    if (isCached) await contents.put(digest, bytes);
    if (isCached) cache.sawManifest(key, { digest, contentType, sizeBytes: bytes.length, etag: undefined });
    return digest;
  };
  return { contents, cache, see };
}

test("of the media types that a puller takes, the manifest that was named last is what a tag means", async () => {
  const { cache, see } = await start();
  const [one, two, list] = [await see("1"), await see("2"), await see("list", { contentType: "a/list; x=y" })];
  for (const digest of [one, list, two, two]) cache.sawTag(key, "latest", digest);
  const found = [undefined, "a/b", "a/list", "a/*;q=0.1, a/b;q=0", "text/html"].map((accept) =>
    cache.byTag(key, "latest", accept),
  );
  expect(found.map((manifest) => manifest?.digest)).toEqual([two, two, list, list, undefined]);
  expect(cache.digestsOf(key, "latest")).toEqual([two, list]);
});

test("once a tag means what has not been read, what it meant before is over, but for those who take no such type", async () => {
  const { cache, see } = await start();
  const [before, list] = [await see("before"), await see("list", { contentType: "a/list" })];
  for (const digest of [before, list]) cache.sawTag(key, "latest", digest);
  const unread = await see("unread", { isCached: false });
  cache.sawTag(key, "latest", unread, { contentType: "a/b; v=2" });
  expect(["a/b", "a/list", "a/b, a/list", undefined].map((accept) => cache.byTag(key, "latest", accept))).toEqual([
    undefined,
    expect.objectContaining({ digest: list }),
    undefined,
    undefined,
  ]);
  expect(cache.digestsOf(key, "latest")).toEqual([unread, list]);
  expect(cache.typesOf(key, "latest")).toEqual(["a/b; v=2", "a/list"]);
  cache.sawTag(key, "latest", await see("of no type", { isCached: false }));
  expect(cache.byTag(key, "latest", "a/list")).toBeUndefined();
  cache.sawTag(key, "latest", before);
  expect(cache.byTag(key, "latest")?.digest).toBe(before);
});

test("what a tag meant is remembered of four digests at most", async () => {
  const { cache, see } = await start();
  for (const n of [1, 2, 3, 4, 5, 6]) cache.sawTag(key, "latest", await see(`unread ${n}`, { isCached: false }));
  expect(cache.digestsOf(key, "latest")).toHaveLength(4);
});

test("an answer that came late does not count where newer ones have come since it was asked for", async () => {
  let now = 1_000;
  const cache = new ManifestCache({ contents: memoryContents(), now: () => now });
  const [old, newer] = [digestOf(Buffer.from("old")), digestOf(Buffer.from("newer"))];
  cache.sawTag(key, "latest", old, { askedMs: 900 });
  now = 2_000;
  cache.sawTag(key, "latest", newer);
  now = 3_000;
  cache.sawTag(key, "latest", old, { askedMs: 1_500 });
  expect(cache.digestsOf(key, "latest")[0]).toBe(newer);
  cache.sawTag(key, "latest", old, { askedMs: 2_500 });
  expect(cache.digestsOf(key, "latest")[0]).toBe(old);
});

test("what is no longer cached is not known", async () => {
  const { cache, contents, see } = await start();
  const digest = await see("1");
  cache.sawTag(key, "latest", digest);
  await contents.delete(digest);
  expect(cache.byTag(key, "latest")).toBeUndefined();
  expect(cache.byDigest(key, digest)).toBeUndefined();
});

test("the least recently used are forgotten", async () => {
  const { cache, see } = await start(2);
  const [one, two] = [await see("1"), await see("2")];
  cache.byDigest(key, one);
  const three = await see("3");
  expect([one, two, three].map((digest) => cache.byDigest(key, digest) !== undefined)).toEqual([true, false, true]);
});

test("a manifest's bytes stay while another repository has it", async () => {
  const { cache, contents, see } = await start();
  const digest = await see("1");
  const other = repositoryKey("docker.io", "library/copy");
  cache.sawManifest(other, { digest, contentType: "a/b", sizeBytes: 1, etag: undefined });
  await cache.forgetDigest(key, digest);
  expect(contents.has(digest)).toBe(true);
  expect(cache.byDigest(key, digest)).toBeUndefined();
  await cache.forgetDigest(other, digest);
  expect(contents.has(digest)).toBe(false);
});

test("a name is read as it was written", () => {
  const digest = digestOf(Buffer.from("1"));
  const here = repositoryKey("127.0.0.1:5000", "team/app");
  expect(parseName(tagName(here, "v1.0"))).toEqual({ key: here, tag: "v1.0" });
  expect(parseName(digestName(here, digest))).toEqual({ key: here, digest });
  const wrong = ["", "latest", "a/b", "a/b:", "a/b@latest", "a/B:c", "/b:c", "a/../b:c", "a/b:c:d", "a/b:c@d"];
  for (const name of wrong) expect(parseName(name)).toBeUndefined();
});
