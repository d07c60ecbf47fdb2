/**
 * Where the bytes of manifests are: among the blobs of the store, or in memory when there is no store.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import type { BlobStorePort, CachedBlob } from "#store/store-port.ts";

/** Bytes of manifests by digest. */
export interface ManifestContents {
  has(digest: Digest): boolean;
  /** The verified bytes; undefined when they are not cached, or not as they should be. */
  get(digest: Digest): Promise<Buffer | undefined>;
  /** Keep bytes that hash to `digest`; false when they cannot be kept now. */
  put(digest: Digest, bytes: Buffer): Promise<boolean>;
  /** Never rejects. */
  delete(digest: Digest): Promise<void>;
}

/** Larger manifests pass by; distribution and Docker Hub take 4 MiB at most. */
export const maxManifestBytes = 8 * 1024 * 1024;

const memoryBytes = 64 * 1024 * 1024;
const memoryManifests = 10_000;

/** The sha256 digest of these bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return digestOfHash(createHash("sha256").update(bytes).digest());
}

/** Manifests in memory, those least recently used go first. */
export function memoryContents(limits: { maxBytes?: number; maxManifests?: number } = {}): ManifestContents {
  const cached = new LRUCache<Digest, Buffer>({
    max: limits.maxManifests ?? memoryManifests,
    maxSize: limits.maxBytes ?? memoryBytes,
    sizeCalculation: (bytes) => Math.max(1, bytes.length),
  });
  return {
    has: (digest) => cached.has(digest),
    get: async (digest) => cached.get(digest),
    put: async (digest, bytes) => digestOf(bytes) === digest && cached.set(digest, bytes).has(digest),
    delete: async (digest) => void cached.delete(digest),
  };
}

/** Manifests as blobs of the store: within its budget, and there after a restart. Its errors are logged, not thrown. */
export function storedContents(
  store: Pick<BlobStorePort, "open" | "has" | "put" | "delete">,
  log: Pick<Logger, "warn">,
): ManifestContents {
  const attempt = async <T>(what: string, digest: Digest, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (err: unknown) {
      log.warn({ err, digest }, `manifest cannot be ${what}`);
      return undefined;
    }
  };
  const get = async (digest: Digest): Promise<Buffer | undefined> => {
    const blob = await store.open(digest);
    if (!blob) return undefined;
    const bytes = await readWhole(blob);
    if (!bytes || digestOf(bytes) === digest) return bytes;
    log.warn({ digest }, "a cached manifest has other bytes than it had: forgotten");
    await store.delete(digest);
    return undefined;
  };
  return {
    has: (digest) => store.has(digest),
    get: (digest) => attempt("read", digest, () => get(digest)),
    put: async (digest, bytes) => (await attempt("stored", digest, () => store.put(digest, bytes))) ?? false,
    delete: async (digest) => void (await attempt("forgotten", digest, () => store.delete(digest))),
  };
}

/** All bytes of a blob, which is closed; undefined for what is too large to be a manifest. */
export async function readWhole(blob: CachedBlob): Promise<Buffer | undefined> {
  try {
    if (blob.sizeBytes > maxManifestBytes) return undefined;
    const pieces: Buffer[] = [];
    for await (const piece of blob.read(0, blob.sizeBytes)) pieces.push(Buffer.from(piece)); // valid until the next one
    return Buffer.concat(pieces);
  } finally {
    await blob.close();
  }
}
