/**
 * Everything under `/v2/` of one registry: which handler answers, and what a write that goes through here ends.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { parseBlobPath, parseManifestPath, parseSha256, parseUploadPath } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { BlobHandler } from "./blobs/blob-route.ts";
import type { BlobSources } from "./blobs/blob-sources.ts";
import type { FetchAhead } from "./fetch-ahead.ts";
import { isRead } from "./http/semantics.ts";
import type { ManifestCache } from "./manifests/manifest-cache.ts";
import { repositoryKey } from "./manifests/manifest-names.ts";
import type { ManifestHandler } from "./manifests/manifest-route.ts";
import type { PingHandler } from "./manifests/ping-route.ts";
import type { RegistryConfig } from "./registries/client-config.ts";
import { contextOf, type RequestContext, type Route } from "./registries/router.ts";
import type { Rights } from "./rights/rights.ts";
import type { PullLog } from "./status/pull-log.ts";
import type { PushLog } from "./status/push-log.ts";
import type { Upstream } from "./upstream/upstream.ts";

/** Answers the requests of one registry; never rejects. */
export type RegistryHandler = (request: IncomingMessage, response: ServerResponse, route: Route) => Promise<void>;

/** Who answers for one registry, and what its writes change. */
export interface RegistryParts {
  readonly config: RegistryConfig;
  readonly registry: Pick<RegistryClient, "identityOf">;
  readonly answerBlob: BlobHandler;
  readonly answerManifest: ManifestHandler;
  readonly answerPing: PingHandler;
  /** Answers everything else. */
  readonly upstream: Pick<Upstream, "pass">;
  readonly prefetch: FetchAhead | undefined;
  readonly cache: ManifestCache;
  readonly store: BlobStorePort | undefined;
  readonly rights: Rights;
  readonly sources: BlobSources;
  readonly pulls: PullLog;
  readonly pushes: PushLog;
  readonly log: Logger;
}

/** Make the handler of one registry; `idle` resolves when no request of it runs, and is for one that gets no more. */
export function createRegistryHandler(parts: RegistryParts): { handle: RegistryHandler; idle: () => Promise<void> } {
  const { config, registry, log } = parts;
  const whenIdle = Promise.withResolvers<void>();
  let [running, isLeft] = [0, false];
  const handle: RegistryHandler = async (request, response, route) => {
    running++;
    try {
      const context = await contextOf(request, response, route, config, registry);
      response.setHeader("oci-namespace", config.registry); // tells containerd which registry has answered
      await answer(parts, context);
    } catch (err: unknown) {
      log.error({ err }, "request failed");
      response.destroy();
    } finally {
      if (--running === 0 && isLeft) whenIdle.resolve();
    }
  };
  const idle = () => {
    isLeft = true;
    if (running === 0) whenIdle.resolve();
    return whenIdle.promise;
  };
  return { handle, idle };
}

async function answer(parts: RegistryParts, context: RequestContext): Promise<void> {
  const { method } = context.request;
  const [path = ""] = context.url.split("?", 1);
  const blob = parseBlobPath(path);
  const manifest = blob ? undefined : parseManifestPath(path);
  if (blob && isRead(method)) return parts.answerBlob(context, blob);
  if (manifest && isRead(method)) return answerManifest(parts, context, manifest);
  if (isRead(method) && (path === "/v2/" || path === "/v2")) return parts.answerPing(context);
  const status = await passed(parts, context, { repository: parseUploadPath(path), manifest });
  if (status === undefined || status >= 300) return undefined;
  if (manifest) return changedManifest(parts.cache, context, manifest);
  return blob && method === "DELETE" ? deletedBlob(parts, context, blob) : undefined;
}

type ManifestPath = { readonly repository: string; readonly reference: string };

/** Answer, and tell the log of pulls what was asked for and how that went. */
async function answerManifest(
  { pulls, prefetch, answerManifest }: RegistryParts,
  context: RequestContext,
  manifest: ManifestPath,
): Promise<void> {
  const { request, response, registry, puller } = context;
  prefetch?.knows(puller);
  const client = request.socket.remoteAddress ?? "";
  const answered = pulls.asked({ client, registry, ...manifest, method: request.method });
  try {
    await answerManifest(context, manifest);
  } finally {
    const digest = parseSha256(String(response.getHeader("docker-content-digest")));
    const from = response.getHeader("x-manifest-source");
    answered({ status: response.statusCode, digest, ...(typeof from === "string" && { from }) });
  }
}

/** Pass the request on, and tell the log of pushes how it went. */
async function passed(
  { upstream, pulls, pushes }: RegistryParts,
  context: RequestContext,
  { repository: uploadedTo, manifest }: { repository: string | undefined; manifest: ManifestPath | undefined },
): Promise<number | undefined> {
  const { request, registry, signal } = context;
  const written = request.method === "PUT" ? manifest : undefined;
  const repository = written?.repository ?? (isRead(request.method) ? undefined : uploadedTo);
  if (repository === undefined) return upstream.pass(context);
  const key = { client: request.socket.remoteAddress ?? "", registry, repository };
  pulls.pushed(key);
  const status = await upstream.pass(context);
  if (!signal.aborted) pushes.answered({ ...key, reference: written?.reference, status });
  return status;
}

/** A push or a deletion of a manifest went through here: what is cached of it is no longer true. */
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
  { store, rights, sources }: RegistryParts,
  { puller: { identity } }: RequestContext,
  { repository, digest: text }: { repository: string; digest: string },
): Promise<void> {
  const digest = parseSha256(text);
  if (!digest) return;
  sources.denyNdn(digest);
  for (const one of new Set([identity, undefined])) rights.refused(one, repository, digest);
  await store?.delete(digest);
}
