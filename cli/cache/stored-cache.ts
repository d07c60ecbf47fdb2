/**
 * The cache of a client that is not running: its files, opened as the client opens them.
 */
import type { CacheListing, Pruned, Verified } from "#client/http/admin-routes.ts";
import { listingOf } from "#client/http/admin-routes.ts";
import type { Digest } from "#oci/digest.ts";
import { BlobStore } from "#store/blob-store.ts";

/** The blobs of a cache directory, reached in one way or another. */
export interface CachePort extends AsyncDisposable {
  /** `maxBytes` is known only where a client is running. */
  list(): Promise<Omit<CacheListing, "maxBytes"> & { readonly maxBytes?: number }>;
  /** False when it was not cached. */
  delete(digest: Digest): Promise<boolean>;
  verify(onProgress: (checked: number, total: number) => void): Promise<Verified>;
  prune(toBytes: number): Promise<Pruned>;
}

/** Open a cache directory. @throws StoreError when another process has it */
export async function openStoredCache(directory: string): Promise<CachePort> {
  // Looking must not evict: the budget is the client's to know.
  const store = await BlobStore.open({ directory, maxBytes: Number.MAX_SAFE_INTEGER, log: toStderr });
  return {
    async list(): Promise<Omit<CacheListing, "maxBytes">> {
      const { usedBytes, blobs } = listingOf(store);
      return { usedBytes, blobs };
    },
    delete: (digest) => store.delete(digest),
    verify: (onProgress) => store.verify(({ checked, total }) => onProgress(checked, total)),
    prune: (toBytes) => store.prune(toBytes),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

const toStderr = {
  info: () => {},
  warn: (what: unknown, message = "") => {
    const { err } = what as { err?: Error };
    process.stderr.write(`ndn-registry: ${message}${err ? ` (${err.message})` : ""}\n`);
  },
};
