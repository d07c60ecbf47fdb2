/**
 * The cache of a client that is not running: its files, opened as the client opens them.
 */
import { type AddedImage, type AddRequest, infoOf, type Removed } from "#client/http/admin-images.ts";
import type { CacheListing, Pruned, Verified } from "#client/http/admin-routes.ts";
import { listingOf } from "#client/http/admin-routes.ts";
import { CachedImages } from "#client/manifests/cached-images.ts";
import { storedContents } from "#client/manifests/contents.ts";
import { openIndexFile } from "#client/manifests/index-file.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import { RegistryError } from "#oci/errors.ts";
import { BlobStore } from "#store/blob-store.ts";
import { CommandError } from "../errors.ts";

/** What is listed; `maxBytes` is known only where a client is running. */
export type Listing = Omit<CacheListing, "maxBytes"> & { readonly maxBytes?: number };

/** A pinned image, as it is now. */
export type Pinned = ReturnType<typeof infoOf>;

/** A cache directory, reached in one way or another. All methods throw CommandError with what the user is to know. */
export interface CachePort extends AsyncDisposable {
  list(): Promise<Listing>;
  /** An image or a blob, by name or digest; undefined when it is not cached. */
  remove(text: string): Promise<Removed | undefined>;
  pin(text: string): Promise<Pinned>;
  /** @returns the image's name */
  unpin(text: string): Promise<string>;
  add(request: AddRequest): Promise<AddedImage>;
  verify(onProgress: (checked: number, total: number) => void): Promise<Verified>;
  prune(toBytes: number): Promise<Pruned>;
}

/** Open a cache directory. @throws StoreError when another process has it */
export async function openStoredCache(directory: string): Promise<CachePort> {
  // Looking must not evict: the budget is the client's to know.
  const store = await BlobStore.open({ directory, maxBytes: Number.MAX_SAFE_INTEGER, log: toStderr });
  const cache = new ManifestCache({ contents: storedContents(store, toStderr) });
  const index = await openIndexFile({ directory, cache, log: toStderr });
  const images = new CachedImages(cache, store, toStderr);
  return {
    async list() {
      const { usedBytes, blobs } = listingOf(store);
      return { usedBytes, images: (await images.list()).map(infoOf), blobs };
    },
    remove: (text) => images.remove(text).catch(unlessUnknown),
    pin: (text) => images.pin(text).then(infoOf).catch(explained),
    unpin: (text) => images.unpin(text).catch(explained),
    async add() {
      throw new CommandError("it is the client that fetches an image: start it, then try again");
    },
    verify: (onProgress) => store.verify(({ checked, total }) => onProgress(checked, total)),
    prune: (toBytes) => store.prune(toBytes),
    async [Symbol.asyncDispose]() {
      await images.close();
      await index.close();
      await store.close();
    },
  };
}

function unlessUnknown(err: unknown): undefined {
  return err instanceof RegistryError && err.code === "MANIFEST_UNKNOWN" ? undefined : explained(err);
}

function explained(err: unknown): never {
  throw err instanceof RegistryError ? new CommandError(err.message, { cause: err }) : err;
}

const toStderr = {
  info: () => {},
  warn: (what: unknown, message = "") => {
    const { err } = what as { err?: Error };
    process.stderr.write(`ndn-registry: ${message}${err ? ` (${err.message})` : ""}\n`);
  },
};
