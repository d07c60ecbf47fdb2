/**
 * `--prefetch`: the layers of a manifest that a puller was given are fetched before it asks for them.
 */
import { LRUCache } from "lru-cache";
import { layersOf } from "#oci/manifest.ts";
import type { BlobServices } from "./blobs/blob-request.ts";
import { sourcesFor } from "./blobs/blob-sources.ts";
import type { ServedManifest } from "./manifests/manifest-request.ts";
import { createPrefetch, type PrefetchWish } from "./manifests/prefetch.ts";
import type { Puller } from "./registries/request-context.ts";

/** Fetches ahead for the pullers of one registry. */
export interface FetchAhead {
  /** A request of this puller is being answered: what follows is fetched in its name. */
  knows(puller: Puller): void;
  served(manifest: ServedManifest): void;
  close(): Promise<void>;
}

// Authorizations are kept no longer than a pull takes.
const maxPullers = 1_000;
const rememberedMs = 60_000;

/** Does nothing without a store to fetch into. */
export function prefetchOf(services: BlobServices): FetchAhead {
  const pullers = new LRUCache<string, Puller>({ max: maxPullers, ttl: rememberedMs });
  const prefetch = createPrefetch({
    fetch: async (wish, signal) => {
      const puller = pullers.get(keyOf(wish.credential));
      if (puller) await fetchAhead(services, puller, wish, signal);
    },
    onError: (err, { digest }) => services.log.debug({ err, digest }, "fetching ahead failed"),
  });
  return {
    knows: (puller) => void pullers.set(keyOf(puller.identity), puller),
    served({ repository, mediaType, bytes, credential, by }) {
      if (by === "stale") return;
      for (const { kind, digest, sizeBytes } of layersOf(mediaType, bytes)) {
        if (kind !== "manifest") prefetch.add({ repository, digest, sizeBytes, credential });
      }
    },
    close: () => prefetch.close(),
  };
}

async function fetchAhead(
  services: BlobServices,
  puller: Puller,
  { repository, digest }: PrefetchWish,
  signal: AbortSignal,
): Promise<void> {
  const { fetcher, store, rights } = services;
  if (!store || store.has(digest)) return;
  if ((await rights.ask(puller, { repository, digest })).kind !== "granted") return;
  const sources = sourcesFor(services, puller, repository, digest);
  const read = await fetcher.fetch({ blob: { repository, digest }, sources }, signal);
  for await (const _ of read?.chunks ?? []) signal.throwIfAborted();
}

function keyOf(identity: string | undefined): string {
  return identity ?? "anonymous";
}
