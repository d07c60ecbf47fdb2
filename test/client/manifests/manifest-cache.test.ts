import { expect, test } from "vitest";
import { digestOf, memoryContents } from "#client/manifests/contents.ts";
import { digestName, ManifestCache, parseName, repositoryKey, tagName } from "#client/manifests/manifest-cache.ts";

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

test("of each media type the newest manifest that is cached is what a tag means", async () => {
  const { cache, see } = await start();
  const [one, two, list] = [await see("1"), await see("2"), await see("list", { contentType: "a/list; x=y" })];
  for (const digest of [one, list, two, two]) cache.sawTag(key, "latest", digest);
  expect(cache.byTag(key, "latest").map(({ digest }) => digest)).toEqual([two, list]);
  expect(cache.digestsOf(key, "latest")).toEqual([two, list]);
});

test("a tag that moves on without its manifests being read keeps the last one that was", async () => {
  const { cache, see } = await start();
  const cached = await see("cached");
  cache.sawTag(key, "latest", cached);
  for (const n of [1, 2, 3, 4, 5, 6]) cache.sawTag(key, "latest", await see(`unread ${n}`, { isCached: false }));
  expect(cache.byTag(key, "latest").map(({ digest }) => digest)).toEqual([cached]);
  expect(cache.digestsOf(key, "latest")).toHaveLength(4);
});

test("what is no longer cached is not known", async () => {
  const { cache, contents, see } = await start();
  const digest = await see("1");
  cache.sawTag(key, "latest", digest);
  await contents.delete(digest);
  expect(cache.byTag(key, "latest")).toEqual([]);
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
