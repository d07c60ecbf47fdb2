/**
 * The client program, put together: from what it is made of to the handlers of each registry and the listening socket.
 */
import { join } from "node:path";
import { Semaphore } from "#base/semaphore.ts";
import { createHedgeDelay } from "#blob/hedge.ts";
import { WindowBudget } from "#fetch/broadcast-window.ts";
import { createDirectFetcher } from "#fetch/fetcher.ts";
import { SharedFetches } from "#fetch/shared-fetches.ts";
import { layersOf } from "#oci/manifest.ts";
import { noStore } from "#store/store-port.ts";
import { type AddableRegistry, ImageAdder } from "./add-image.ts";
import { createBlobRoute } from "./blobs/blob-route.ts";
import { BlobSources } from "./blobs/blob-sources.ts";
import { prefetchOf } from "./fetch-ahead.ts";
import type { AddRequest } from "./http/admin-images.ts";
import { openHttpServer } from "./http-server.ts";
import { BlobSizes } from "./manifests/blob-sizes.ts";
import { CachedImages } from "./manifests/cached-images.ts";
import { memoryContents, storedContents } from "./manifests/contents.ts";
import { openIndexFile } from "./manifests/index-file.ts";
import { ManifestCache } from "./manifests/manifest-cache.ts";
import { createManifestRoute, type ManifestServices } from "./manifests/manifest-route.ts";
import { createPingRoute } from "./manifests/ping-route.ts";
import type { ClientParts } from "./parts.ts";
import { createRegistryHandler, type RegistryHandler } from "./registry-handler.ts";
import { createRights } from "./rights/rights.ts";
import { logPull } from "./status/image-lines.ts";
import type { ClientMetrics } from "./status/metrics.ts";
import { PullLog } from "./status/pull-log.ts";
import { PushLog } from "./status/push-log.ts";
import { noteUpstreamAnswer, upstreamErrorKind } from "./status/upstream-answer.ts";
import { blobsWithoutChallenge } from "./upstream/no-challenges.ts";
import { createProxy } from "./upstream/proxy.ts";
import { createAsk } from "./upstream/upstream-question.ts";

/** An open client. */
export interface Client {
  /** Where pullers reach it: the first of `urls`. */
  readonly url: string;
  /** All addresses, see `Listening`. */
  readonly urls: readonly string[];
  /** Take no new requests, let running ones end for `graceMs`, then break them off. */
  close(graceMs: number): Promise<void>;
}

/** Upstream GETs at a time that are made only because NDN is late. */
const maxHedges = 8;

/** Blobs that are read in ranges and not cached: 16 MiB of each in memory, 64 MiB in all. */
const inMemory = () => ({ windows: new WindowBudget(16 * 1024 * 1024, 4), slowReaderBudgetMs: 60_000 });

/** Make the handlers of each registry and the server in front of them, and listen. @throws ListenFailed */
export async function openClient(parts: ClientParts): Promise<Client> {
  const { store, log, metrics, stallTimeoutMs, bandwidth = { upstream: undefined, ndn: undefined } } = parts;
  const pulls = new PullLog({
    onPull: () => metrics.pulls.inc(),
    onEnd(pull) {
      logPull(log, pull);
      if (pull.outcome === "failed" || pull.whyNotNdn !== null) parts.status?.health?.look();
    },
  });
  const pushes = new PushLog(log);
  const contents = store ? storedContents(store, log) : memoryContents();
  const cache = new ManifestCache({ contents });
  const index = store && (await openIndexFile({ directory: store.directory, cache, log }));
  const fetches = store
    ? new SharedFetches(store, log, (running) => metrics.fetchesInFlight.set(running))
    : new SharedFetches(noStore, log, undefined, inMemory());
  const hedges = new Semaphore(maxHedges);
  const hidesChallenges = parts.login !== undefined;
  const handlers = new Map<string, RegistryHandler>();
  const addable = new Map<string, AddableRegistry>();
  const closing = new AsyncDisposableStack();
  closing.defer(async () => index?.close());
  closing.defer(async () => {
    pulls.close();
    pushes.close();
  });

  for (const [name, { config, registry, ndn }] of parts.mirrors) {
    const { authorize, offline } = config;
    const file = store && join(store.directory, `rights-${config.registry.replaceAll(":", "_")}.json`);
    const sizes = new BlobSizes();
    const blobs = hidesChallenges ? blobsWithoutChallenge(registry) : registry;
    const rights = createRights({ registry: blobs, registryHost: config.registry, authorize, offline, log, file });
    const onAnswer = (answer: Parameters<typeof noteUpstreamAnswer>[2]) =>
      noteUpstreamAnswer(metrics, config.registry, answer);
    const upstream = createProxy({ upstream: config.upstream, registry, log, metrics, onAnswer, hidesChallenges });
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
    const ask = createAsk(upstream, { withCacheMs: parts.tagTimeoutMs });
    addable.set(name, { registry, ask, cache, contents, rights, sources, fetcher });
    handlers.set(
      name,
      createRegistryHandler({
        config,
        registry,
        answerBlob: createBlobRoute({
          registry: blobs,
          sources,
          fetcher,
          store,
          authorize,
          rights,
          bandwidth,
          metrics,
          pulls,
          log,
        }),
        answerManifest: createManifestRoute(manifests, ask),
        answerPing: createPingRoute({ ...manifests, hidesChallenges }, ask),
        upstream,
        prefetch,
        cache,
        sources,
        store,
        rights,
        pulls,
        pushes,
        log,
      }),
    );
    closing.defer(async () => {
      await prefetch?.close();
      await upstream.close();
      await rights.close();
    });
  }
  closing.defer(async () => fetches?.close());

  const images = store && imageAdmin({ store, cache, addable, defaultRegistry: parts.defaultRegistry, log });
  closing.defer(async () => images?.close());
  const http = await openHttpServer(parts, handlers, { pulls, images }, () => closing.disposeAsync());
  const closed = await parts.onOpen?.(http.server, http.urls);
  return {
    url: http.urls[0]!,
    urls: http.urls,
    async close(graceMs) {
      await http.close(graceMs);
      await closed?.();
    },
  };
}

/** What this machine's programs may do with the cache by image. */
function imageAdmin({ store, cache, addable, defaultRegistry, log }: ImageAdminParts) {
  const images = new CachedImages(cache, store, log);
  const adder = new ImageAdder({ registries: addable, defaultRegistry, store, log });
  return {
    list: () => images.list(),
    remove: (text: string) => images.remove(text),
    pin: (text: string) => images.pin(text),
    unpin: (text: string) => images.unpin(text),
    add: (request: AddRequest, signal: AbortSignal) => adder.add(request, signal),
    async close() {
      await adder.close();
      await images.close();
    },
  };
}

interface ImageAdminParts extends Pick<ClientParts, "defaultRegistry" | "log"> {
  readonly store: NonNullable<ClientParts["store"]>;
  readonly cache: ManifestCache;
  readonly addable: ReadonlyMap<string, AddableRegistry>;
}

function manifestCounters(metrics: ClientMetrics): Pick<ManifestServices, "onAnswer" | "onUpstreamError"> {
  return {
    onAnswer: (what, by) => by === "stale" && metrics.offlineAnswers.inc({ what }),
    onUpstreamError: (failure) => {
      if (typeof failure !== "number") metrics.upstreamErrors.inc(upstreamErrorKind(failure));
    },
  };
}
