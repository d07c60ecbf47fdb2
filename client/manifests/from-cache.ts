/**
 * Manifests that are answered from the cache: with the upstream's consent, or in its place.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { isEncoded } from "#oci/body-headers.ts";
import { HelpFailed, type RegistryUnreachable } from "#oci/errors.ts";
import { admits } from "#oci/media-type.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import { isLostConnection } from "#oci/registry-http.ts";
import { apiVersion, manifestProvenance, staleness } from "../http/answers.ts";
import { isConditional } from "../http/semantics.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { UpstreamSilent } from "../upstream/upstream-question.ts";
import type { CachedManifest, ManifestCache } from "./manifest-cache.ts";
import type { AnswerEvents, AnsweredBy, CachedManifests, ManifestRequest } from "./manifest-request.ts";

/** What decides whether the cache may answer in the upstream's place. */
interface StaleServices extends Pick<CachedManifests, "cache" | "rights"> {
  readonly staleTagsMs?: number | undefined;
}

/** What the cache would serve to this puller while the upstream does not answer. */
export function staleCandidate(
  { cache, rights, staleTagsMs = Number.POSITIVE_INFINITY }: StaleServices,
  { request, repository, key, tag, digest, credential }: ManifestRequest,
): CachedManifest | undefined {
  // A digest is one manifest, whatever the puller would rather have.
  const found = digest ? cache.byDigest(key, digest) : cache.byTag(key, tag!, request.headers.accept);
  if (!digest && found && Date.now() - found.seenMs > staleTagsMs) return undefined;
  return found && rights.mayOffline(credential, repository, found.digest) ? found : undefined;
}

/**
 * Answer in the upstream's place; false, with nothing sent, when there is no candidate or its bytes are gone.
 *
 * @param failure - The status that the upstream answered with, or the error that it gave no answer with.
 */
export async function sendStale(
  services: Pick<CachedManifests, "contents"> & AnswerEvents,
  wanted: ManifestRequest,
  manifest: CachedManifest | undefined,
  failure: number | RegistryUnreachable,
): Promise<boolean> {
  const bytes = manifest && (await services.contents.get(manifest.digest));
  wanted.signal.throwIfAborted();
  if (!bytes) return false;
  const { registry } = wanted;
  const warning = staleWarning(registry, failure, `this is the manifest last seen ${httpDate(manifest.seenMs)}`);
  send(wanted, bytes, { ...cachedHeaders(manifest), ...staleHeaders(warning, manifest.seenMs) });
  services.log.warn(
    { registry, repository: wanted.repository, reference: wanted.tag ?? wanted.digest, failure: describe(failure) },
    "manifest answered from cache: the upstream does not",
  );
  announce(services, wanted, { digest: manifest.digest, mediaType: manifest.contentType, bytes }, "stale");
  return true;
}

/** Answer a GET by digest without asking the upstream, where it has granted just that lately; false with nothing sent. */
export async function sendFresh(services: CachedManifests & AnswerEvents, wanted: ManifestRequest): Promise<boolean> {
  const { cache, contents, rights } = services;
  const { request, repository, key, digest, credential } = wanted;
  if (!digest || isConditional(request.headers) || !rights.isFresh(credential, repository, digest)) return false;
  const manifest = cache.byDigest(key, digest);
  // Some registries say 404 to who does not take the media type: that is theirs to say.
  if (!manifest || !admits(request.headers.accept, manifest.contentType)) return false;
  const bytes = await contents.get(digest);
  wanted.signal.throwIfAborted();
  if (!bytes) return false;
  send(wanted, bytes, { ...cachedHeaders(manifest), ...manifestProvenance("store") });
  announce(services, wanted, { digest, mediaType: manifest.contentType, bytes }, "cache");
  return true;
}

/** Answer a GET with cached bytes and the headers of the upstream's 200 to a HEAD; false, with nothing sent, when they do not fit. */
export async function sendCached(
  services: Pick<CachedManifests, "cache" | "contents"> & AnswerEvents,
  wanted: ManifestRequest,
  { headers, inline }: UpstreamReply,
): Promise<boolean> {
  const digest = digestOfReply(services.cache, wanted, headers);
  const contentType = headers["content-type"];
  if (!digest || (wanted.digest && digest !== wanted.digest) || !contentType || isEncoded(headers)) return false;
  const bytes = inline ?? (await services.contents.get(digest));
  wanted.signal.throwIfAborted();
  if (!bytes || (headers["content-length"] ?? String(bytes.length)) !== String(bytes.length)) return false;
  const { etag } = headers;
  services.cache.sawManifest(wanted.key, { digest, contentType, sizeBytes: bytes.length, etag });
  send(wanted, bytes, { ...headers, ...manifestProvenance(inline ? "ndn" : "store") });
  announce(services, wanted, { digest, mediaType: contentType, bytes }, inline ? "ndn" : "cache");
  return true;
}

/** Report what was served, and from where. */
export function announce(
  { onManifest, onAnswer, log }: AnswerEvents,
  asked: ManifestRequest,
  served: { digest: Digest; mediaType: string; bytes: Buffer },
  by: AnsweredBy,
): void {
  const { request, repository, credential } = asked;
  onAnswer?.("manifest", by);
  if (request.method !== "GET") return;
  try {
    onManifest?.({ ...served, repository, credential, by }, asked);
  } catch (err: unknown) {
    log.error({ err, repository }, "what follows a manifest failed");
  }
}

/**
 * The digest of what the upstream answers a request with, by what it names. Where it names none, a manifest that was
 * asked for by digest is the one that is cached if type and size are: a page in the registry's place has others.
 */
export function digestOfReply(
  cache: Pick<ManifestCache, "byDigest">,
  { key, digest }: Pick<ManifestRequest, "key" | "digest">,
  headers: IncomingHttpHeaders,
): Digest | undefined {
  const known = digest && cache.byDigest(key, digest);
  if (!known || headers["docker-content-digest"] !== undefined) return digestIn(headers);
  const isSame = headers["content-type"] === known.contentType;
  return isSame && headers["content-length"] === String(known.sizeBytes) ? digest : undefined;
}

/** The sha256 digest that the upstream names in an answer. */
export function digestIn(headers: IncomingHttpHeaders): Digest | undefined {
  return parseSha256(String(headers["docker-content-digest"]));
}

/** Headers of an answer in the upstream's place. */
export function staleHeaders(warning: string, seenMs: number): OutgoingHttpHeaders {
  return { ...apiVersion, ...manifestProvenance("store"), ...staleness(warning, seenMs) };
}

/** @param rest - What is served instead. */
export function staleWarning(registry: string, failure: number | RegistryUnreachable, rest: string): string {
  return `299 - "ndn-registry: upstream ${registry.replace(/["\\]/g, "")} ${stateBy(failure)}; ${rest}"`;
}

function stateBy(failure: number | RegistryUnreachable): string {
  if (typeof failure === "number") return `answers ${failure}`;
  if (failure instanceof UpstreamSilent) return `has not answered within ${failure.waitedMs / 1000} s`;
  if (failure instanceof HelpFailed) return `answers ${failure.answer.status}, and where that leads to fails`;
  return isLostConnection(failure) ? "has broken off" : "cannot be reached";
}

function cachedHeaders({ digest, contentType, etag }: CachedManifest): OutgoingHttpHeaders {
  return {
    ...apiVersion,
    "content-type": contentType,
    "docker-content-digest": digest,
    ...(etag !== undefined && { etag }),
  };
}

function send({ request, response }: ManifestRequest, bytes: Buffer, headers: OutgoingHttpHeaders): void {
  response.writeHead(200, { ...headers, "content-length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

function describe(failure: number | RegistryUnreachable): string {
  return typeof failure === "number" ? `status ${failure}` : failure.message;
}
