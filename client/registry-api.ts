/**
 * Everything under `/v2/` of one registry: blobs, manifests, pings, and what is passed on.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { Semaphore } from "#base/semaphore.ts";
import { createHedgeDelay, type HedgeMode } from "#blob/hedge.ts";
import type { Fetcher } from "#fetch/fetcher.ts";
import { parseSha256 } from "#oci/digest.ts";
import { parseBlobPath, parseManifestPath } from "#oci/reference.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import { type BlobServices, createDigestDenylist } from "./blobs/blob-request.ts";
import { createBlobRoute } from "./blobs/blob-route.ts";
import { prefetchOf } from "./fetch-ahead.ts";
import { isConditional } from "./http/blob-range.ts";
import { isRead } from "./http/semantics.ts";
import type { ManifestContents } from "./manifests/contents.ts";
import { type ManifestCache, repositoryKey } from "./manifests/manifest-cache.ts";
import { createManifestRoute, type ManifestHandler, type ManifestServices } from "./manifests/manifest-route.ts";
import { createPingRoute, type PingHandler } from "./manifests/ping-route.ts";
import type { Mirror } from "./mirror.ts";
import { contextOf, type RequestContext } from "./registries/request-context.ts";
import { namespaceHeader, type Route } from "./registries/router.ts";
import { createRights } from "./rights/rights.ts";
import type { PullLog } from "./status/pull-log.ts";
import { noteUpstreamAnswer, upstreamErrorKind } from "./status/upstream-answer.ts";
import { blobsWithoutChallenge } from "./upstream/no-challenges.ts";
import { createProxy } from "./upstream/proxy.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { askOf } from "./upstream/upstream-question.ts";

/** What all registries of an endpoint share. */
export interface SharedServices
  extends Pick<BlobServices, "metrics" | "pulls" | "log" | "bandwidth" | "stallTimeoutMs"> {
  /** Of this registry. */
  readonly fetcher: Fetcher;
  readonly store: (BlobStorePort & { readonly directory: string }) | undefined;
  readonly manifestCache: ManifestCache;
  readonly contents: ManifestContents;
  readonly hedge: { readonly mode: HedgeMode; readonly limit: Semaphore };
  /** Whether pullers have a login of this endpoint, and so must not answer the upstreams' challenges. */
  readonly hidesChallenges: boolean;
}

/** Answers the requests of one registry. */
export interface RegistryApi {
  /** Never rejects. */
  readonly answer: (request: IncomingMessage, response: ServerResponse, route: Route) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Make the API of one registry. */
export function createRegistryApi({ config, registry, ndn }: Mirror, shared: SharedServices): RegistryApi {
  const { metrics, log, store, manifestCache, contents, hidesChallenges } = shared;
  const name = config.registry;
  const { authorize, offline } = config;
  const file = store && join(store.directory, `rights-${name.replaceAll(":", "_")}.json`);
  const rights = createRights({ registry, registryHost: name, authorize, offline, log, file });
  const proxy = createProxy({
    upstream: config.upstream,
    registry,
    log,
    metrics,
    onAnswer: (answer) => noteUpstreamAnswer(metrics, name, answer),
    hidesChallenges,
  });
  const hedge = { delay: createHedgeDelay(shared.hedge), limit: shared.hedge.limit };
  const blobs: BlobServices = {
    ...shared,
    registry: hidesChallenges ? blobsWithoutChallenge(registry) : registry,
    ndn,
    authorize,
    rights,
    hedge,
    denylist: createDigestDenylist(),
  };
  const prefetch = config.prefetch ? prefetchOf(blobs) : undefined;
  const manifests: ManifestServices = {
    upstream: proxy,
    cache: manifestCache,
    contents,
    rights,
    log,
    onManifest: (manifest) => prefetch?.served(manifest),
    onAnswer: (what, by) => by === "stale" && metrics.offlineAnswers.inc({ what }),
    onUpstreamError: (failure) => {
      if (typeof failure !== "number") metrics.upstreamErrors.inc(upstreamErrorKind(failure));
    },
  };
  const ask = askOf({ upstream: proxy });
  const routes = createRoutes({
    blobs,
    cache: manifestCache,
    upstream: proxy,
    answerManifest: createManifestRoute(manifests, ask),
    answerPing: createPingRoute({ ...manifests, hidesChallenges }, ask),
  });

  const answer = async (request: IncomingMessage, response: ServerResponse, route: Route) => {
    const context = await contextOf(request, response, route, config, registry);
    response.setHeader("oci-namespace", namespaceHeader(name)["oci-namespace"]);
    prefetch?.knows(context.puller);
    await routes(context);
  };
  const close = async () => {
    await prefetch?.close();
    await proxy.close();
    await rights.close();
  };
  const failed = (err: unknown, response: ServerResponse) => {
    log.error({ err }, "request failed");
    response.destroy();
  };
  return {
    answer: (request, response, route) =>
      answer(request, response, route).catch((err: unknown) => failed(err, response)),
    close,
  };
}

type Routes = (context: RequestContext) => Promise<unknown>;

/** Who answers for one registry, and what its writes change. */
interface RouteParts {
  readonly blobs: BlobServices;
  readonly cache: ManifestCache;
  /** Answers everything else. */
  readonly upstream: Pick<Upstream, "pass">;
  readonly answerManifest: ManifestHandler;
  readonly answerPing: PingHandler;
}

function createRoutes({ blobs, cache, upstream, answerManifest, answerPing }: RouteParts): Routes {
  const answerBlob = createBlobRoute(blobs);
  return async (context) => {
    const { method, headers } = context.request;
    const [path = ""] = context.url.split("?", 1);
    const blob = parseBlobPath(path);
    const manifest = blob ? undefined : parseManifestPath(path);
    if (blob && (method === "GET" || (method === "HEAD" && !isConditional(headers)))) {
      return answerBlob(context, blob);
    }
    if (manifest && isRead(method)) {
      await answerManifest(context, manifest);
      return seen(blobs.pulls, context, manifest);
    }
    if (isRead(method) && (path === "/v2/" || path === "/v2")) return answerPing(context);
    const status = await upstream.pass(context);
    if (status === undefined || status >= 300) return undefined;
    if (manifest) return changedManifest(cache, context, manifest);
    return blob && method === "DELETE" ? deletedBlob(blobs, context, blob) : undefined;
  };
}

function seen(
  pulls: PullLog,
  { request, response, registry }: RequestContext,
  manifest: { repository: string; reference: string },
): void {
  const client = request.socket.remoteAddress ?? "";
  pulls.manifest({ client, registry, ...manifest, status: response.statusCode });
}

/** A push or a deletion of a manifest went through here: what was remembered of it is over. */
async function changedManifest(
  cache: ManifestCache,
  { request: { method }, response, registry }: RequestContext,
  { repository, reference }: { repository: string; reference: string },
): Promise<void> {
  const key = repositoryKey(registry, repository);
  const digest = parseSha256(reference);
  if (method === "PUT") {
    const written = parseSha256(String(response.getHeader("docker-content-digest") ?? ""));
    cache.wroteManifest(key, reference, written);
  } else if (method === "DELETE") {
    if (digest) await cache.forgetDigest(key, digest);
    else cache.forgetTag(key, reference);
  }
}

/** The blob is forgotten, and not asked for over NDN, whose caches do not hear of it. */
async function deletedBlob(
  { store, rights, denylist }: BlobServices,
  { puller: { identity } }: RequestContext,
  { repository, digest: text }: { repository: string; digest: string },
): Promise<void> {
  const digest = parseSha256(text);
  if (!digest) return;
  denylist.add(digest);
  for (const one of new Set([identity, undefined])) rights.refused(one, repository, digest);
  await store?.delete(digest);
}
