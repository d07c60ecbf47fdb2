/** Pins in a manifest cache that is small, and on a disk that refuses. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CachedImages } from "#client/manifests/cached-images.ts";
import { digestOf, storedContents } from "#client/manifests/contents.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import { repositoryKey } from "#client/manifests/manifest-names.ts";
import { BlobStore } from "#store/blob-store.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

const key = repositoryKey("docker.io", "library/alpine");
const log = pino({ level: "silent" });
const contentType = "application/vnd.oci.image.manifest.v1+json";
let folder: TemporaryFolder;
let store: BlobStore;
let cache: ManifestCache;
let images: CachedImages;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  store = await BlobStore.open({ directory: folder.path, maxBytes: 10_000_000, log });
  cache = new ManifestCache({ contents: storedContents(store, log), maxEntries: 5 });
  images = new CachedImages(cache, store, log);
});
afterEach(async () => {
  await images.close();
  await store.close();
  await folder[Symbol.asyncDispose]();
});

/** A manifest without blobs, with a tag. */
async function see(tag: string): Promise<void> {
  const bytes = Buffer.from(JSON.stringify({ tag }));
  const digest = digestOf(bytes);
  await store.put(digest, bytes);
  cache.sawManifest(key, { digest, contentType, sizeBytes: bytes.length, etag: undefined });
  cache.sawTag(key, tag, digest);
}

test("a pinned tag is remembered however many others come, one that is not pinned is not", async () => {
  await see("other");
  await see("pinned");
  await images.pin("alpine:pinned");
  for (let n = 0; n < 20; n++) {
    await see(`${n}`);
    if (n % 3 === 2) await images.follow();
  }
  expect(cache.byTag(key, "pinned")).toBeDefined();
  expect(cache.byTag(key, "other")).toBeUndefined();
});

test("a pin that cannot be written down is said so, and so is one too many", async () => {
  await see("1");
  await mkdir(join(folder.path, "pins.json.new")); // in the way of the file that is renamed
  await expect(images.pin("alpine:1")).rejects.toThrow(/a restart will forget this: EISDIR/);
  await rm(join(folder.path, "pins.json.new"), { recursive: true, force: true });
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => store.pins.pin(`image ${n}`, []).catch(() => undefined)));
  await see("2");
  await expect(images.pin("alpine:2")).rejects.toMatchObject({
    status: 409,
    message: "1000 images are pinned already",
  });
});
