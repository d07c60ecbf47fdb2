/**
 * Several registries fetch into one store. What the store has because of one of them is no answer to another's pullers,
 * unless it has been asked whether they may have it.
 */
import { LRUCache } from "lru-cache";
import type { Digest } from "#oci/reference.ts";
import type { BlobStorePort } from "#store/store-port.ts";

/** A registry, as far as its fetches depend on it. */
export interface FetchingRegistry {
  /** In its one spelling. */
  readonly registry: string;
  /** With `upstream` the pullers' rights are asked before they get a byte, wherever it is from. */
  readonly authorize: "upstream" | "none";
}

const maxRemembered = 10_000;

/** Who fetches into a store, and for whom the files of fetches that broke off are; forgotten with the process. */
export class FetchScopes {
  /** Those that fetch into the store. */
  readonly registries = new Set<string>();
  /** Fetches that run, of all registries. */
  running = 0;
  readonly #begunFor = new LRUCache<Digest, string>({ max: maxRemembered });

  /**
   * The store for a fetch of one registry.
   *
   * @param mayUseCached - Whether all that is there may be used. If not, it is only what this registry's own fetch left.
   */
  storeFor(store: BlobStorePort, registry: string, mayUseCached: boolean): BlobStorePort {
    const isOwn = (digest: Digest) => mayUseCached || this.#begunFor.get(digest) === registry;
    return {
      open: async (digest) => (mayUseCached ? store.open(digest) : undefined),
      has: (digest) => mayUseCached && store.has(digest),
      partial: (digest) => (isOwn(digest) ? store.partial(digest) : undefined),
      begin: async (digest, sizeBytes) => {
        const wasOwn = isOwn(digest);
        const writer = await store.begin(digest, sizeBytes);
        // Not when another's bytes are in it: the fetch that got it so throws it away.
        if (writer && (wasOwn || writer.writtenBytes === 0)) this.#begunFor.set(digest, registry);
        return writer;
      },
      spool: () => store.spool(),
      put: (digest, bytes) => store.put(digest, bytes),
      delete: (digest) => store.delete(digest),
    };
  }
}
