import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Pointer } from "#blob/pointer.ts";
import { isServerName, type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { decodeCatalog, decodeTagList, snapshotTypes } from "#blob/snapshots.ts";
import { type Digest, hexOf } from "#oci/reference.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { prefix, type Reader, serve } from "../serving.ts";
import { askPointer, getPointer, pointerIn, readPointed, repository } from "./asking.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const tagsOf = (repository: string): PointerTarget => ({ kind: "tags", repository });
let registry: TestRegistry;

beforeEach(async () => {
  registry = await startRegistry();
});
afterEach(() => registry.close());

function addManifest(repository: string, tag: string | undefined, content: object = {}): Digest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...content }));
  return registry.addManifest(repository, tag, { mediaType: manifestType, bytes });
}

/** What is behind a pointer, wherever it is. */
async function contentOf(reader: Reader, pointer: Pointer | undefined): Promise<Buffer> {
  return pointer!.inline ?? readPointed(reader, pointer!);
}

async function tagsIn(reader: Reader, pointer: Pointer | undefined) {
  return decodeTagList(repository, await contentOf(reader, pointer));
}

function heads(): number {
  return registry.requests.filter(({ method }) => method === "HEAD").length;
}

test("the tags of a repository are a sorted snapshot that this server alone has, fresh for five seconds", async () => {
  for (const tag of ["v2", "v10", "V1", "latest"]) addManifest(repository, tag);
  await using serving = await serve(registry);
  const data = await getPointer(serving.reader(), tagsOf(repository));
  expect(data.freshnessPeriod).toBe(5_000);
  const pointer = pointerIn(data);
  expect([pointer.mediaType, isServerName(prefix, pointer.hint!)]).toEqual([snapshotTypes.tags, true]);
  const tags = await tagsIn(serving.reader(), pointer);
  expect(tags?.map(({ name }) => name)).toEqual(["V1", "latest", "v10", "v2"]);
});

test("what tags mean is added as it becomes known, by few HEADs a second", async () => {
  const expected = new Map(Array.from({ length: 12 }, (_, i) => [`v${i}`, addManifest(repository, `v${i}`, { i })]));
  await using serving = await serve(registry);
  const reader = serving.reader();
  const before = Date.now();
  await until("all digests", async () => {
    const tags = await tagsIn(reader, await askPointer(reader, tagsOf(repository), { isUnique: true }));
    return tags!.every(({ name, digest, asOf }) => digest === expected.get(name) && asOf! >= before);
  });
  expect(heads()).toBe(12);
  expect(Date.now() - before).toBeGreaterThan(500);
});

test("what a tag means is known from those who asked for it", async () => {
  const digest = addManifest(repository, "latest");
  await using serving = await serve(registry);
  const reader = serving.reader();
  await askPointer(reader, { kind: "tag", repository, tag: "latest" });
  const tags = await tagsIn(reader, await askPointer(reader, tagsOf(repository)));
  expect(tags).toMatchObject([{ name: "latest", digest }]);
  expect(heads()).toBe(1);
});

test("with the registry's storage at hand all tags have their digests at once, and none is asked for", async () => {
  await using folder = await makeTemporaryFolder();
  const expected = new Map<string, Digest>();
  for (let i = 0; i < 600; i++) {
    const digest = addManifest(repository, `v${i}`, { i });
    const link = join(
      folder.path,
      "docker/registry/v2/repositories",
      repository,
      "_manifests/tags",
      `v${i}`,
      "current",
    );
    await mkdir(link, { recursive: true });
    await writeFile(join(link, "link"), digest);
    expected.set(`v${i}`, digest);
  }
  addManifest(repository, "not-on-disk");
  await using serving = await serve(registry, { storage: folder.path });
  const reader = serving.reader();
  const tags = await tagsIn(reader, await askPointer(reader, tagsOf(repository)));
  expect(tags).toHaveLength(601);
  for (const { name, digest } of tags!) expect(digest).toBe(expected.get(name));
  expect(heads()).toBe(0);
});

test("ten thousand tags of 128 characters are listed in the registry's own pages, without a HEAD for each", async () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `v${i}`.padEnd(128, "x"));
  for (const name of names) addManifest(repository, name);
  await using serving = await serve(registry);
  const reader = serving.reader();
  const pointer = await askPointer(reader, tagsOf(repository));
  expect(heads()).toBeLessThan(200);
  const tags = await tagsIn(reader, pointer);
  expect(tags?.map(({ name }) => name)).toEqual(names.sort());
  expect(registry.requests.filter(({ url }) => url.includes("/tags/list"))).toHaveLength(10);
});

test("a repository without tags has an empty list, one that is not there none", async () => {
  registry.open(repository);
  await using serving = await serve(registry);
  const reader = serving.reader();
  expect(await tagsIn(reader, await askPointer(reader, tagsOf(repository)))).toEqual([]);
  expect(await askPointer(reader, tagsOf("team/none"))).toBeUndefined();
});

test("where the registry has no referrers API they come from the tag that stands for it", async () => {
  const subject = addManifest(repository, "latest");
  const referrer = {
    mediaType: manifestType,
    digest: addManifest(repository, undefined, { a: 1 }),
    size: 9,
    artifactType: "a/b",
  };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [referrer] }));
  registry.addManifest(repository, `sha256-${hexOf(subject)}`, { mediaType: indexType, bytes });
  await using serving = await serve(registry);
  const reader = serving.reader();
  const pointer = await askPointer(reader, { kind: "referrers", repository, digest: subject });
  expect([pointer?.mediaType, isServerName(prefix, pointer!.hint!)]).toEqual([indexType, true]);
  expect(JSON.parse((await contentOf(reader, pointer)).toString())).toEqual({
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [referrer],
  });
  const nothing = { kind: "referrers", repository, digest: addManifest(repository, "alone", { b: 1 }) } as const;
  expect(await askPointer(reader, nothing)).toBeUndefined();
});

test("the catalog is silence unless it is published", async () => {
  addManifest(repository, "latest");
  await using serving = await serve(registry);
  const reader = serving.reader();
  const limits = { timeoutMs: 300 };
  await expect(reader.get(pointerName(prefix, { kind: "catalog" }), {}, limits)).rejects.toThrow();
  expect(registry.requests).toEqual([]);
});

test("the catalog lists what is published, and nothing that is not for everyone", async () => {
  await registry.close();
  const auth = { users: { a: "b" }, privateRepositories: ["team/private"] };
  registry = await startRegistry({ auth });
  for (const name of ["team/b", "team/a", "team/private", "secret/x", "lib"]) addManifest(name, "latest");
  await using serving = await serve(registry, {
    publishCatalog: true,
    exclude: ["secret/**"],
    credentials: { username: "a", password: "b" },
  });
  const reader = serving.reader();
  const pointer = await until("the catalog", () => askPointer(reader, { kind: "catalog" }));
  expect([pointer.mediaType, isServerName(prefix, pointer.hint!)]).toEqual([snapshotTypes.catalog, true]);
  expect(decodeCatalog(await contentOf(reader, pointer))).toEqual(["lib", "team/a", "team/b"]);
});

test("a new repository is in the catalog soon, and one that is gone is not", async () => {
  addManifest("team/a", "latest");
  await using serving = await serve(registry, { publishCatalog: true });
  const reader = serving.reader();
  await until("the catalog", () => askPointer(reader, { kind: "catalog" }));
  addManifest("team/b", "latest");
  registry.repositories.delete("team/a");
  await until("the new catalog", async () => {
    const pointer = await askPointer(reader, { kind: "catalog" }, { isUnique: true });
    return decodeCatalog(await contentOf(reader, pointer))?.join() === "team/b";
  });
});
