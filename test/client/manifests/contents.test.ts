import pino from "pino";
import { expect, test } from "vitest";
import { digestOf, maxManifestBytes, memoryContents, storedContents } from "#client/manifests/contents.ts";
import type { Digest } from "#oci/reference.ts";
import type { CachedBlob } from "#store/store-port.ts";

const bytes = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(bytes);
const silent = pino({ enabled: false });

/** A store in memory that reads in pieces of one reused buffer, as the real one may. */
function storeDouble() {
  const blobs = new Map<Digest, Buffer>();
  const open = { count: 0 };
  const openBlob = async (digest: Digest): Promise<CachedBlob | undefined> => {
    const blob = blobs.get(digest);
    if (!blob) return undefined;
    open.count++;
    return {
      digest,
      sizeBytes: blob.length,
      async *read(start, end) {
        const piece = Buffer.alloc(4);
        for (let at = start; at < end; at += 4) yield piece.subarray(0, blob.copy(piece, 0, at, Math.min(at + 4, end)));
      },
      close: async () => void open.count--,
    };
  };
  const store = {
    has: (digest: Digest) => blobs.has(digest),
    open: openBlob,
    put: async (digest: Digest, bytes: Buffer) => blobs.set(digest, bytes).has(digest),
    delete: async (digest: Digest) => blobs.delete(digest),
  };
  return { blobs, open, store };
}

test.each([
  ["in memory", () => memoryContents()],
  ["in the store", () => storedContents(storeDouble().store, silent)],
])("manifests %s are there until they are deleted", async (_, make) => {
  const contents = make();
  expect(await contents.get(digest)).toBeUndefined();
  expect(await contents.put(digest, bytes)).toBe(true);
  expect(contents.has(digest)).toBe(true);
  expect(await contents.get(digest)).toEqual(bytes);
  await contents.delete(digest);
  expect(contents.has(digest)).toBe(false);
});

test("cache is bounded by bytes and by manifests", async () => {
  const [a, b, large] = [Buffer.from("a"), Buffer.from("b"), Buffer.alloc(11)];
  const byCount = memoryContents({ maxManifests: 1 });
  for (const one of [a, b]) await byCount.put(digestOf(one), one);
  expect([a, b].map((one) => byCount.has(digestOf(one)))).toEqual([false, true]);
  const byBytes = memoryContents({ maxBytes: 10 });
  expect(await byBytes.put(digestOf(large), large)).toBe(false);
  expect(await byBytes.put(digestOf(a), large)).toBe(false);
});

test("bytes that have changed in the store are not served, and deleted", async () => {
  const { store, blobs, open } = storeDouble();
  const contents = storedContents(store, silent);
  blobs.set(digest, Buffer.from("something else"));
  expect(await contents.get(digest)).toBeUndefined();
  expect(blobs.has(digest)).toBe(false);
  expect(open.count).toBe(0);
});

test("a layer is too large to be read as a manifest", async () => {
  const { store, blobs, open } = storeDouble();
  blobs.set(digest, Buffer.alloc(maxManifestBytes + 1));
  expect(await storedContents(store, silent).get(digest)).toBeUndefined();
  expect(blobs.has(digest)).toBe(true);
  expect(open.count).toBe(0);
});

test("a store that fails is a store that does not have it", async () => {
  const fail = () => Promise.reject(new Error("disk on fire"));
  const contents = storedContents({ has: () => true, open: fail, put: fail, delete: fail }, silent);
  expect(await contents.get(digest)).toBeUndefined();
  expect(await contents.put(digest, bytes)).toBe(false);
  await contents.delete(digest);
});
