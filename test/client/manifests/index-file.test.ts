import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf, memoryContents } from "#client/manifests/contents.ts";
import { type IndexFile, openIndexFile } from "#client/manifests/index-file.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import { repositoryKey } from "#client/manifests/manifest-names.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";

const key = repositoryKey("registry.test", "team/app");
const contents = memoryContents();
let folder: AsyncDisposable & { readonly path: string };
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder.path, "index.json");
});

afterEach(() => folder[Symbol.asyncDispose]());

interface Started extends AsyncDisposable {
  readonly cache: ManifestCache;
  readonly file: IndexFile;
  readonly logs: string[];
}

async function start(options: { maxEntries?: number; intervalMs?: number } = {}): Promise<Started> {
  const logs: string[] = [];
  const log = pino({}, { write: (line) => logs.push((JSON.parse(line) as { msg: string }).msg) });
  const cache = new ManifestCache({ contents, now: () => Date.UTC(2030, 0, 1), ...options });
  const file = await openIndexFile({ directory: folder.path, cache, log, ...options });
  return { cache, file, logs, [Symbol.asyncDispose]: () => file.close() };
}

async function see(cache: ManifestCache, name: string, { tag = "", type = "a/b", isCached = true } = {}) {
  const bytes = Buffer.from(name);
  const digest = digestOf(bytes);
  if (isCached) await contents.put(digest, bytes);
  cache.sawManifest(key, { digest, contentType: type, sizeBytes: bytes.length, etag: `"${name}"` });
  if (tag !== "") cache.sawTag(key, tag, digest);
  return digest;
}

test("a restart forgets nothing that is cached", async () => {
  {
    await using first = await start();
    await see(first.cache, "untagged");
    await see(first.cache, "older", { tag: "latest" });
    await see(first.cache, "other type", { tag: "latest", type: "a/list; charset=utf-8" });
    await see(first.cache, "elsewhere", { tag: "v1" });
    await see(first.cache, "not cached", { tag: "v2", isCached: false });
    first.cache.sawPing("registry.test", { status: 401, challenges: ['Basic realm="x"', "Bearer"] });
  }
  await using second = await start();
  await using third = await start();
  for (const { cache } of [second, third]) {
    expect(cache.byTag(key, "latest")).toMatchObject({
      digest: digestOf(Buffer.from("other type")),
      contentType: "a/list; charset=utf-8",
      sizeBytes: 10,
      etag: '"other type"',
      seenMs: Date.UTC(2030, 0, 1),
    });
    expect(cache.byTag(key, "latest", "a/b")).toMatchObject({ digest: digestOf(Buffer.from("older")) });
    expect(cache.byTag(key, "v1")).toBeDefined();
    expect(cache.digestsOf(key, "v2")).toEqual([]);
    expect(cache.byDigest(key, digestOf(Buffer.from("untagged")))).toMatchObject({ sizeBytes: 8 });
    expect(cache.ping("registry.test")).toEqual({ status: 401, challenges: ['Basic realm="x"', "Bearer"] });
    expect(second.logs).toEqual([]);
  }
});

test("a tag that was seen to mean what was not read does not mean after a restart what it meant before", async () => {
  {
    await using started = await start();
    const moved = await see(started.cache, "before", { tag: "moved" });
    await see(started.cache, "after", { tag: "moved", isCached: false });
    await see(started.cache, "there", { tag: "back" });
    await see(started.cache, "away", { tag: "back", isCached: false });
    await see(started.cache, "there", { tag: "back" });
    expect(started.cache.byDigest(key, moved)).toBeDefined();
  }
  await using again = await start();
  expect(again.cache.digestsOf(key, "moved")).toEqual([]);
  expect(again.cache.byDigest(key, digestOf(Buffer.from("before")))).toBeDefined();
  expect(again.cache.byTag(key, "back")?.digest).toBe(digestOf(Buffer.from("there")));
});

test("other tools find a tag under one name, once", async () => {
  {
    await using started = await start();
    await see(started.cache, "older", { tag: "latest" });
    await see(started.cache, "newer", { tag: "latest", type: "a/list" });
  }
  const index = JSON.parse(await readFile(path, "utf8")) as { manifests: { annotations: Record<string, string> }[] };
  expect(index).toMatchObject({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" });
  const names = index.manifests.map(({ annotations }) => annotations["org.opencontainers.image.ref.name"]);
  expect(names).toEqual(["registry.test/team/app:latest", undefined]);
  expect(index.manifests[0]).toMatchObject({ mediaType: "a/list", size: 5, digest: digestOf(Buffer.from("newer")) });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("the index is bounded, and who was used last stays", async () => {
  {
    await using started = await start({ maxEntries: 3 });
    for (const name of ["1", "2", "3", "4"]) await see(started.cache, name, { tag: `v${name}` });
    started.cache.byTag(key, "v2");
  }
  await using started = await start({ maxEntries: 2 });
  const found = ["v1", "v2", "v3", "v4"].map((tag) => started.cache.byTag(key, tag) !== undefined);
  expect(found).toEqual([false, true, false, true]);
});

test.each(["", "{", "[]", '{"schemaVersion":1,"manifests":[]}', '{"schemaVersion":2}', "\0".repeat(100)])(
  "an index that reads %j is moved aside",
  async (text) => {
    await writeFile(path, text);
    {
      await using started = await start();
      expect(started.logs).toEqual(["the index of the cache is damaged: no tags are remembered"]);
      await see(started.cache, "new", { tag: "latest" });
    }
    expect(await readFile(`${path}.damaged`, "utf8")).toBe(text);
    await using again = await start();
    expect(again.cache.byTag(key, "latest")).toBeDefined();
  },
);

test("descriptors that are not ours, or make no sense, are passed over", async () => {
  await using other = await start();
  const digest = await see(other.cache, "good", { tag: "good" });
  await other.file.close();
  const index = JSON.parse(await readFile(path, "utf8")) as { manifests: object[] };
  const [good] = index.manifests;
  const name = "org.opencontainers.image.ref.name";
  const wrong = [
    null,
    {},
    { ...good, digest: "sha256:short" },
    { ...good, size: -1 },
    { ...good, annotations: {} },
    { ...good, annotations: { [name]: "latest" } },
    { ...good, annotations: { [name]: "registry.test/../x:latest" } },
  ];
  await writeFile(path, JSON.stringify({ ...index, manifests: [...wrong, good] }));
  await using started = await start();
  expect(started.logs).toEqual([]);
  expect(started.cache.byTag(key, "good")?.digest).toBe(digest);
  expect([...started.cache.tags()]).toHaveLength(1);
});

test("changes are written soon, by rename, and not more often than is said", async () => {
  await using started = await start({ intervalMs: 60_000 });
  await see(started.cache, "1", { tag: "v1" });
  const first = await until("the first writing", async () => readFile(path, "utf8"));
  await see(started.cache, "2", { tag: "v2" });
  expect(await readFile(path, "utf8")).toBe(first);
  await started.file.close();
  expect(await readFile(path, "utf8")).toContain("registry.test/team/app:v2");
  expect(await readdir(folder.path)).toEqual(["index.json"]);
});

test("a directory that cannot be written to is one warning, and is tried again", async () => {
  await using started = await start();
  await mkdir(path);
  await see(started.cache, "1", { tag: "v1" });
  await started.file.close();
  expect(started.logs).toEqual(["tags cannot be written down: a restart will forget them"]);
  expect(await readdir(folder.path)).toEqual(["index.json"]);
  await rm(path, { recursive: true });
  await started.file.close();
  await using again = await start();
  expect(again.cache.byTag(key, "v1")).toBeDefined();
});
