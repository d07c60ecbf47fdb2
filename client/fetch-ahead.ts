/**
 * `--prefetch`: the layers of a manifest that a puller was given are fetched before it asks for them; never so many at a
 * time that those who wait for one would suffer.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { BlobRef, SourceName } from "#blob/source.ts";
import { layersOf } from "#oci/manifest.ts";
import type { Digest } from "#oci/reference.ts";
import type { ServeServices } from "./blobs/blob-request.ts";
import type { ServedManifest } from "./manifests/manifest-request.ts";
import type { Puller } from "./registries/router.ts";

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

/** What fetching ahead uses. */
export interface FetchAheadServices extends Pick<ServeServices, "sources" | "fetcher" | "store" | "rights"> {
  readonly log: Pick<Logger, "debug">;
}

/** Does nothing without a store to fetch into. */
export function prefetchOf(services: FetchAheadServices): FetchAhead {
  const pullers = new LRUCache<string, Puller>({ max: maxPullers, ttl: rememberedMs });
  const prefetch = createPrefetch({
    fetch: async (wish, signal) => {
      const puller = pullers.get(keyOf(wish.credential));
      if (puller) await fetchAhead(services, puller, wish, signal);
    },
    onError: (err, { digest }) => services.log.debug({ err, digest }, "fetching ahead failed"),
  });
  return {
    knows: (puller) => void pullers.set(keyOf(puller.identity), forBlobs(puller)),
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
  services: FetchAheadServices,
  puller: Puller,
  { repository, digest }: PrefetchWish,
  signal: AbortSignal,
): Promise<void> {
  const { store } = services;
  if (!store || store.has(digest)) return;
  await fetchIntoStore({ ...services, store }, puller, { repository, digest }, signal);
}

/** What fetching into the store uses. */
export interface IntoStore extends Pick<ServeServices, "sources" | "fetcher" | "rights"> {
  readonly store: NonNullable<ServeServices["store"]>;
}

/**
 * Fetch a blob for the store alone, in a puller's name, unless it is there.
 *
 * @param onBytes - Called with what comes, and from where.
 * @returns "refused" by the upstream; "lost" when the store could not keep it.
 * @throws BlobUnavailable, BlobCorrupt, RegistryUnreachable, or the signal's reason.
 */
export async function fetchIntoStore(
  { sources, fetcher, store, rights }: IntoStore,
  puller: Puller,
  blob: BlobRef,
  signal: AbortSignal,
  onBytes: (source: SourceName, bytes: number) => void = () => {},
): Promise<"stored" | "refused" | "lost"> {
  if ((await rights.ask(puller, blob)).kind !== "granted") return "refused";
  if (store.has(blob.digest)) return "stored";
  const read = await fetcher.fetch({ blob, sources: sources.for(puller, blob, false), isAhead: true }, signal);
  for await (const { source, bytes } of read?.chunks ?? []) {
    signal.throwIfAborted();
    onBytes(source, bytes.length);
  }
  await fetcher.ended(blob.digest, signal); // the last bytes are given out before the blob is in the store
  return store.has(blob.digest) ? "stored" : "lost";
}

/** What it has asked with is a manifest's: media types of manifests are not those of its layers. */
function forBlobs({ auth, ...puller }: Puller): Puller {
  const { accept: _, ...headers } = auth.sent?.headers ?? {};
  return { ...puller, auth: { ...auth, sent: auth.sent && { ...auth.sent, headers } } };
}

function keyOf(identity: string | undefined): string {
  return identity ?? "anonymous";
}

/** A blob to be fetched ahead, in the name of the puller that will want it. */
export interface PrefetchWish {
  readonly repository: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly credential: string | undefined;
}

export interface PrefetchOptions {
  /** Fetch it into the store, if it is not there. What it throws ends only this fetch. */
  readonly fetch: (wish: PrefetchWish, signal: AbortSignal) => Promise<void>;
  /** @defaultValue 2 */
  readonly concurrency?: number | undefined;
  /** Waiting ones; those beyond are dropped. @defaultValue 256 */
  readonly maxQueued?: number | undefined;
  readonly onError?: ((err: unknown, wish: PrefetchWish) => void) | undefined;
}

/** The queue. */
export interface Prefetch {
  /** False when it is dropped: the queue is full or closed, or the blob is in it or being fetched already. */
  add(wish: PrefetchWish): boolean;
  /** Drop what waits, abort what runs, and wait for that. */
  close(): Promise<void>;
}

/** Fetches the blobs that are wished for in their order, `concurrency` at a time. */
export function createPrefetch({ fetch, concurrency = 2, maxQueued = 256, onError }: PrefetchOptions): Prefetch {
  const queued = new Map<string, PrefetchWish>();
  const running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  let isClosed = false;

  const fetchOne = async (key: string, wish: PrefetchWish, { signal }: AbortController) => {
    try {
      await fetch(wish, signal);
    } catch (err: unknown) {
      if (!isClosed) onError?.(err, wish);
    } finally {
      running.delete(key);
      startNext();
    }
  };
  const startNext = () => {
    for (const [key, wish] of queued) {
      if (running.size >= concurrency) return;
      queued.delete(key);
      // Registered before it begins: a fetch that is done at once must find itself.
      const stop = new AbortController();
      running.set(key, { stop, ended: Promise.resolve().then(() => fetchOne(key, wish, stop)) });
    }
  };

  return {
    add(wish) {
      const key = `${wish.repository}@${wish.digest}`;
      if (isClosed || queued.has(key) || running.has(key)) return false;
      if (running.size >= concurrency && queued.size >= maxQueued) return false;
      queued.set(key, wish);
      startNext();
      return true;
    },
    async close() {
      isClosed = true;
      queued.clear();
      for (const { stop } of running.values()) stop.abort();
      await Promise.all(Array.from(running.values(), ({ ended }) => ended));
    },
  };
}
