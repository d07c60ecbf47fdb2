import type { CacheListing, Pruned, Verified } from "#client/http/admin-routes.ts";
import type { Digest } from "#oci/digest.ts";

/** The blobs of a cache directory, reached in one way or another. */
export interface CachePort extends AsyncDisposable {
  /** `maxBytes` is known only where a client is running. */
  list(): Promise<Omit<CacheListing, "maxBytes"> & { readonly maxBytes?: number }>;
  /** False when it was not cached. */
  delete(digest: Digest): Promise<boolean>;
  verify(onProgress: (checked: number, total: number) => void): Promise<Verified>;
  prune(toBytes: number): Promise<Pruned>;
}
