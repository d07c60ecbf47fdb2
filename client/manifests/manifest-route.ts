/**
 * GET and HEAD of a manifest: the upstream is always asked what a tag means, but its bytes are fetched only once; and
 * when it does not answer, what it said last is still served to those who may have it.
 */
import { reasonOf } from "#base/errors.ts";
import { RegistryUnreachable } from "#oci/errors.ts";
import { admits } from "#oci/media-type.ts";
import type { Digest } from "#oci/reference.ts";
import { manifestProvenance, PullerGone, sendUnavailable } from "../http/answers.ts";
import type { RequestContext } from "../registries/router.ts";
import { hasBody } from "../upstream/proxy-headers.ts";
import type { Upstream, UpstreamReply } from "../upstream/upstream.ts";
import { type Ask, discard, type InItsPlace, isFailure, type OnLate } from "../upstream/upstream-question.ts";
import { digestOfReply, sendCached, sendFresh, sendStale, staleCandidate } from "./from-cache.ts";
import type { ManifestCache } from "./manifest-cache.ts";
import { type AnswerEvents, type CachedManifests, type ManifestRequest, manifestRequest } from "./manifest-request.ts";
import { passManifest } from "./pass-manifest.ts";

/** What the manifest route of one registry uses. */
export interface ManifestServices extends CachedManifests, AnswerEvents {
  /** For what is not answered here. */
  readonly upstream: Pick<Upstream, "base" | "pass">;
  /** What a tag meant longer ago is not served in the upstream's place. @defaultValue it is, however long ago */
  readonly staleTagsMs?: number | undefined;
}

/** A request whose path names a manifest (`parseManifestPath`). */
export type ManifestHandler = (
  context: RequestContext,
  manifest: { repository: string; reference: string },
) => Promise<void>;

/**
 * The handler of GET and HEAD of manifests; it always ends or breaks off the response, and never rejects.
 *
 * @param ask - Asks the upstream; to be shared with `createPingRoute`, so that one of them waiting in vain is enough.
 */
export function createManifestRoute(services: ManifestServices, ask: Ask): ManifestHandler {
  return async (context, path) => {
    const wanted = hasBody(context.request) ? undefined : manifestRequest(context, path);
    if (!wanted) return void (await services.upstream.pass(context));
    try {
      await (context.request.method === "HEAD" ? answerHead(services, ask, wanted) : answerGet(services, ask, wanted));
    } catch (err: unknown) {
      await settle(services, wanted, err);
    }
  };
}

async function answerHead(services: ManifestServices, ask: Ask, wanted: ManifestRequest): Promise<void> {
  const reply = await askOrServeStale(services, ask, wanted, { method: "HEAD", otherwise: "none" });
  if (!reply) return;
  discard(reply.body);
  learn(services, wanted, reply);
  const { status, headers, by = "upstream" } = reply;
  wanted.response.writeHead(status, { ...headers, ...(status === 200 && manifestProvenance(by)) }).end();
  services.onAnswer?.("manifest", by);
}

async function answerGet(services: ManifestServices, ask: Ask, wanted: ManifestRequest): Promise<void> {
  if (await sendFresh(services, wanted)) return;
  const isHeadUseful = wanted.tag !== undefined || services.contents.has(wanted.digest!);
  const head = isHeadUseful ? await answerByHead(services, ask, wanted) : "no answer";
  if (head === "served") return;
  const reply = await askOrServeStale(services, ask, wanted, {
    method: "GET",
    otherwise: "none",
    isUp: head === "not enough",
  });
  if (!reply) return;
  learn(services, wanted, reply);
  try {
    await passManifest(services, wanted, reply);
  } finally {
    if (!reply.body.readableEnded) discard(reply.body);
  }
}

/** A HEAD costs no pull quota, and where the manifest is cached it is enough. */
async function answerByHead(
  services: ManifestServices,
  ask: Ask,
  wanted: ManifestRequest,
): Promise<"served" | "not enough" | "no answer"> {
  try {
    const head = await askOrServeStale(services, ask, wanted, { method: "HEAD", otherwise: "another request" });
    if (!head) return "served";
    discard(head.body);
    learn(services, wanted, head);
    if (isFailure(head.status)) return "no answer";
    return head.status === 200 && (await sendCached(services, wanted, head)) ? "served" : "not enough";
  } catch (err: unknown) {
    if (err instanceof RegistryUnreachable) return "no answer"; // one that is slow, or bad at HEAD, still answers the GET
    throw err;
  }
}

/**
 * Ask the upstream, or have the cache answer in its place: then there is nothing left to do, and no reply.
 *
 * @param options - `isUp`: it has answered just now, so that being slow is no reason to take its place.
 * @throws RegistryUnreachable when neither answers. A status that says so is a reply like others.
 */
async function askOrServeStale(
  services: ManifestServices,
  ask: Ask,
  wanted: ManifestRequest,
  { method, otherwise, isUp = false }: { method: "GET" | "HEAD"; otherwise: InItsPlace; isUp?: boolean },
): Promise<UpstreamReply | undefined> {
  const inItsPlace = !isUp && staleCandidate(services, wanted) ? "cache" : otherwise;
  const askedMs = Date.now();
  const onLate: OnLate = (reply) => learn(services, wanted, reply, askedMs);
  // Looked for again: while this one waited, others may have heard what the tag means now, or that it is not for this puller.
  const serveStale = (failure: number | RegistryUnreachable) =>
    sendStale(services, wanted, staleCandidate(services, wanted), failure);
  try {
    const reply = await ask({ ...wanted.question, method }, inItsPlace, onLate);
    if (!isFailure(reply.status)) return reply;
    services.onUpstreamError?.(reply.status);
    if (!(await serveStale(reply.status))) return reply;
    discard(reply.body);
    return undefined;
  } catch (err: unknown) {
    if (!(err instanceof RegistryUnreachable)) throw err;
    services.onUpstreamError?.(err);
    if (await serveStale(err)) return undefined;
    throw err;
  }
}

/** What an answer of the upstream says about tag, manifest and puller; `askedMs` for one that came late. */
function learn(
  { cache, rights }: Pick<CachedManifests, "cache" | "rights">,
  wanted: ManifestRequest,
  { status, headers }: Pick<UpstreamReply, "status" | "headers">,
  askedMs?: number,
): void {
  const { key, repository, tag, credential } = wanted;
  const known = wanted.digest ? [wanted.digest] : cache.digestsOf(key, tag!);
  if (status === 404 && !isAboutMediaType(cache, wanted)) forget({ cache, rights }, wanted, known);
  // A tag that is not there is no refusal of what it meant before.
  const isGone = status === 404 && tag === undefined && !isAboutMediaType(cache, wanted);
  const isRefusal = status === 401 || status === 403 || isGone;
  if (isRefusal) for (const one of known) rights.refused(credential, repository, one);
  // Not every 200 is a registry's: one that does not name the digest grants nothing, unless its bytes turn out right.
  const digest = digestOfReply(cache, wanted, headers);
  const { "content-type": contentType, "docker-content-digest": said } = headers;
  // A digest of another algorithm: what the tag meant before is over, and what it means now is not cached.
  if (status === 200 && tag !== undefined && said !== undefined && !digest) forget({ cache, rights }, wanted, known);
  if (status !== 200 || !digest || (wanted.digest && wanted.digest !== digest)) return;
  rights.granted(credential, repository, digest);
  if (tag !== undefined) cache.sawTag(key, tag, digest, { contentType, askedMs });
}

/** Some registries say 404 to a puller that does not take a manifest's media type: it is still there. */
function isAboutMediaType(cache: ManifestCache, { request, key, tag, digest }: ManifestRequest): boolean {
  const types = tag !== undefined ? cache.typesOf(key, tag) : [cache.byDigest(key, digest!)?.contentType ?? []].flat();
  return types.length > 0 && !types.some((type) => admits(request.headers.accept, type));
}

/** A registry may say 404 to those who must not know: only who may have a manifest can make it forgotten. */
function forget(
  { cache, rights }: Pick<CachedManifests, "cache" | "rights">,
  { key, repository, tag, credential }: ManifestRequest,
  known: readonly Digest[],
): void {
  if (!known.some((digest) => rights.mayOffline(credential, repository, digest))) return;
  if (tag !== undefined) cache.forgetTag(key, tag);
  else for (const digest of known) void cache.forgetDigest(key, digest);
}

/** End a response whose work failed: with an answer while that is possible, else by breaking off the connection. */
async function settle(services: ManifestServices, wanted: ManifestRequest, err: unknown): Promise<void> {
  const { response, signal, repository } = wanted;
  if (signal.aborted || err instanceof PullerGone) return void response.destroy();
  const fields = { repository, reference: wanted.tag ?? wanted.digest };
  if (response.headersSent) {
    services.log.warn({ ...fields, err }, "manifest broken off");
    // Destroyed, not ended: the puller must see that Content-Length was not reached.
    return void response.destroy();
  }
  if (err instanceof RegistryUnreachable) {
    services.log.warn({ ...fields, reason: reasonOf(err) }, "upstream request failed");
    return sendUnavailable(response, services.upstream.base, err);
  }
  services.log.error({ ...fields, err }, "manifest request failed");
  await services.upstream.pass(wanted);
}
