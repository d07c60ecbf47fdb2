/**
 * One registry as the client serves it, from how it is reached to what answers its requests.
 */
import { join } from "node:path";
import type { Semaphore } from "#base/limits.ts";
import { createHedgeDelay } from "#blob/hedge.ts";
import { createDirectFetcher } from "#fetch/fetcher.ts";
import type { SharedFetches } from "#fetch/shared-fetches.ts";
import { layersOf } from "#oci/manifest.ts";
import type { AddableRegistry } from "./add-image.ts";
import { createBlobRoute } from "./blobs/blob-route.ts";
import { BlobSources } from "./blobs/blob-sources.ts";
import { prefetchOf } from "./fetch-ahead.ts";
import { BlobSizes } from "./manifests/blob-sizes.ts";
import type { ManifestContents } from "./manifests/contents.ts";
import type { ManifestCache } from "./manifests/manifest-cache.ts";
import { createManifestRoute, type ManifestServices } from "./manifests/manifest-route.ts";
import { createPingRoute } from "./manifests/ping-route.ts";
import type { Mirror } from "./mirror.ts";
import type { ClientParts } from "./parts.ts";
import type { PointerMemory } from "./pointers/pointer-memory.ts";
import { openRegistryAccess } from "./registry-access.ts";
import { createRegistryHandler, type RegistryHandler } from "./registry-handler.ts";
import { createRights } from "./rights/rights.ts";
import type { ClientMetrics } from "./status/metrics.ts";
import type { PullLog } from "./status/pull-log.ts";
import type { PushLog } from "./status/push-log.ts";
import { upstreamErrorKind } from "./status/upstream-answer.ts";

/** What all registries of a client have in common. */
export interface SharedServices {
  readonly parts: ClientParts;
  readonly pulls: PullLog;
  readonly pushes: PushLog;
  readonly contents: ManifestContents;
  readonly cache: ManifestCache;
  readonly fetches: SharedFetches;
  /** Upstream GETs that are made only because NDN is late. */
  readonly hedges: Semaphore;
  /** Opened when it is first asked for. */
  readonly pointerMemory: () => PointerMemory;
}

/** A registry that is served. */
export interface RegistryService {
  readonly mirror: Mirror;
  readonly handle: RegistryHandler;
  /** What adds images to the cache. */
  readonly addable: AddableRegistry;
  /** Write what is remembered of rights: another service of the registry is to read it. */
  release(): Promise<void>;
  /** Close once no request and no fetch of it runs any more. */
  retire(): Promise<void>;
  /** Close at once. */
  close(): Promise<void>;
}

/** Put one registry together; its mirror stays the caller's to close. */
export function openRegistryService(mirror: Mirror, services: SharedServices): RegistryService {
  const { parts, pulls, pushes, contents, cache, fetches, hedges } = services;
  const { store, log, metrics, stallTimeoutMs, bandwidth = { upstream: undefined, ndn: undefined } } = parts;
  const { config, ndn } = mirror;
  const hidesChallenges = parts.login !== undefined;
  const { authorize, offline } = config;
  const file = store && join(store.directory, `rights-${config.registry.replaceAll(":", "_")}.json`);
  const sizes = new BlobSizes();
  const access = openRegistryAccess(mirror, services, sizes);
  const { upstream, ask, blobs, pullers, publishedSize } = access;
  const rights = createRights({
    registry: blobs,
    registryHost: config.registry,
    authorize,
    offline,
    log,
    file,
    withCacheMs: parts.tagTimeoutMs,
    publishedSize,
  });
  const sources = new BlobSources({
    registry: blobs,
    ndn,
    authorize,
    rights,
    hedge: { delay: createHedgeDelay({ mode: parts.hedge ?? "auto" }), limit: hedges },
    bandwidth,
    stallTimeoutMs,
    sizes,
    spool: store && (() => store.spool()),
    metrics,
    log,
  });
  const shared = fetches.of(config);
  const fetcher = store ? shared : createDirectFetcher(shared, (change) => metrics.fetchesInFlight.inc(change));
  const prefetch = config.prefetch ? prefetchOf({ sources, fetcher, store, rights, log }) : undefined;
  const manifests: ManifestServices = {
    upstream,
    cache,
    contents,
    rights,
    log,
    // Over HTTPS what a tag meant is served for as long as the upstream is down; caches on NDN are easier to keep stale.
    ...((!upstream.base || config.manifests === "ndn") && { staleTagsMs: config.staleTagsMs }),
    onManifest(manifest, { request, registry, repository, tag }) {
      const puller = { client: request.socket.remoteAddress ?? "", registry, repository };
      const { mediaType, bytes } = manifest;
      const layers = layersOf(mediaType, bytes);
      pulls.listed({ ...puller, reference: tag ?? manifest.digest }, layers);
      sizes.learn(repository, layers);
      prefetch?.served(manifest);
    },
    ...manifestCounters(metrics),
  };
  const blobParts = { registry: blobs, sources, fetcher, store, authorize, rights, bandwidth, metrics, pulls, log };
  const handler = createRegistryHandler({
    config,
    registry: pullers,
    answerBlob: createBlobRoute(blobParts),
    answerManifest: createManifestRoute(manifests, ask),
    answerPing: createPingRoute({ ...manifests, hidesChallenges, hasFallback: access.hasFallback }, ask),
    upstream,
    prefetch,
    cache,
    sources,
    store,
    rights,
    pulls,
    pushes,
    log,
  });
  const close = async () => {
    await prefetch?.close();
    await access.close();
    await rights.close();
  };
  return {
    mirror,
    handle: handler.handle,
    addable: { registry: pullers, ask, cache, contents, rights, sources, fetcher },
    release: () => rights.close(),
    close,
    async retire() {
      await handler.idle();
      await fetches.leave(shared);
      await close();
    },
  };
}

function manifestCounters(metrics: ClientMetrics): Pick<ManifestServices, "onAnswer" | "onUpstreamError"> {
  return {
    onAnswer(what, by) {
      if (by === "stale") metrics.offlineAnswers.inc({ what });
      if (what === "manifest") metrics.manifests.inc({ source: by === "ndn" || by === "upstream" ? by : "store" });
    },
    onUpstreamError: (failure) => {
      if (typeof failure !== "number") metrics.upstreamErrors.inc(upstreamErrorKind(failure));
    },
  };
}
