/**
 * A registry as it is seen over NDN alone: pulls and lists are answered from what its servers sign, everything that
 * would change it is refused.
 */
import { Readable } from "node:stream";
import type { Logger } from "pino";
import { reasonOf } from "#base/errors.ts";
import { plainSegmentBytes } from "#blob/names.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { errorJson, RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import { admits } from "#oci/media-type.ts";
import { type Digest, isTag, parseManifestPath, parseSha256 } from "#oci/reference.ts";
import { NoAnswer } from "#uplinks/signed-objects.ts";
import { apiVersion, etagOf, sendError } from "../http/answers.ts";
import { isRead, joinedHeaders, judgeConditions } from "../http/semantics.ts";
import { plain, type RequestContext } from "../registries/router.ts";
import type { Question, Upstream, UpstreamReply } from "../upstream/upstream.ts";
import { answerList, listIn } from "./list-answers.ts";
import type { PointedObject, PointedObjects } from "./pointed-objects.ts";
import type { PointerReader } from "./pointer-reader.ts";
import type { Snapshots } from "./snapshots.ts";

/** What answering uses. */
export interface NdnUpstreamServices {
  readonly pointers: PointerReader;
  readonly objects: PointedObjects;
  readonly snapshots: Snapshots;
  /**
   * Media type and size of a manifest that an index of this repository lists, which needs no pointer; undefined where
   * it is not known, or where the pointer is wanted as a proof that everyone may have it.
   */
  readonly listed?: ((repository: string, digest: Digest) => Described | undefined) | undefined;
  readonly log: Logger;
}

/** A manifest, as far as an answer to HEAD depends on it. */
interface Described {
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** Make it. */
export function createNdnUpstream(services: NdnUpstreamServices): Upstream {
  return {
    base: undefined,
    async ask(question) {
      try {
        if ("ping" in question) return replyTo(question, 200, "{}");
        return await ("list" in question ? answerListQuestion(services, question) : answerManifest(services, question));
      } catch (err: unknown) {
        question.signal.throwIfAborted();
        throw asUnreachable(err);
      }
    },
    pass: (context) => pass(services, context),
  };
}

/** No one has answered: for the routes that is a registry that cannot be reached. */
function asUnreachable(err: unknown): unknown {
  const isSilence = err instanceof NoAnswer || err instanceof BlobUnavailable;
  return isSilence ? new RegistryUnreachable(reasonOf(err), { cause: err }) : err;
}

type ManifestQuestion = Extract<Question, { reference: string }>;

async function answerManifest(services: NdnUpstreamServices, question: ManifestQuestion): Promise<UpstreamReply> {
  const { repository, reference, signal } = question;
  const digest = parseSha256(reference);
  const listed = digest && (await answerListed(services, question, digest));
  if (listed) return listed;
  const target = digest
    ? ({ kind: "manifest", repository, digest } as const)
    : ({ kind: "tag", repository, tag: reference } as const);
  const pointer = await services.pointers.read(target, signal);
  if (!pointer) return refusal(question, `the registry has no ${reference} in ${repository}, or hides it`);
  return answerWith(services, question, { ...pointer, repository }, pointer.mediaType);
}

/** A GET of what an index lists; undefined when it is not there under its digest, or not listed: a pointer says more. */
async function answerListed(
  services: NdnUpstreamServices,
  question: ManifestQuestion,
  digest: Digest,
): Promise<UpstreamReply | undefined> {
  const { repository, method } = question;
  const listed = method === "GET" ? services.listed?.(repository, digest) : undefined;
  if (!listed) return undefined;
  const object = { digest, sizeBytes: listed.sizeBytes, segmentBytes: plainSegmentBytes, repository };
  try {
    return await answerWith(services, question, object, listed.mediaType);
  } catch (err: unknown) {
    if (err instanceof BlobUnavailable) return undefined;
    throw err;
  }
}

async function answerWith(
  services: NdnUpstreamServices,
  question: ManifestQuestion,
  object: PointedObject,
  mediaType: string,
): Promise<UpstreamReply> {
  const { reference, accept, method, sent, signal } = question;
  if (!admits(accept, mediaType)) {
    return refusal(question, `${reference} is of type ${mediaType}, which the request's Accept does not admit`);
  }
  const described = { ...apiVersion, "docker-content-digest": object.digest, etag: etagOf(object.digest) };
  const verdict = judgeConditions(joinedHeaders(sent?.headers ?? []), described.etag);
  if (verdict) return { status: verdict, headers: described, body: empty(), by: "ndn" };
  const headers = { ...described, "content-type": mediaType, "content-length": String(object.sizeBytes) };
  if (method === "HEAD" && !object.inline) return { status: 200, headers, body: empty(), by: "ndn" };
  const bytes = await services.objects.read(object, signal);
  if (method === "HEAD") return { status: 200, headers, body: empty(), inline: bytes, by: "ndn" };
  return { status: 200, headers, body: Readable.from([bytes]), by: "ndn" };
}

async function answerListQuestion(
  { snapshots }: NdnUpstreamServices,
  question: Extract<Question, { list: string }>,
): Promise<UpstreamReply> {
  const { list: path, sent, method, signal } = question;
  const target = listIn(path);
  if (!target) return replyTo(question, 404, errorJson("UNSUPPORTED", "this is not available over NDN"));
  const asked = { url: path + (sent?.query ?? ""), askedAs: sent?.askedAs ?? plain, signal };
  try {
    const { headers, body } = await answerList(snapshots, asked, target);
    return { status: 200, headers, body: method === "HEAD" ? empty() : Readable.from([body]), by: "ndn" };
  } catch (err: unknown) {
    if (!(err instanceof RegistryError)) throw err;
    return replyTo(question, err.status, JSON.stringify(err));
  }
}

/** Everything but manifests, blobs and pings. */
async function pass(services: NdnUpstreamServices, context: RequestContext): Promise<number | undefined> {
  const { request, response, url, signal } = context;
  try {
    const list = isRead(request.method) ? listIn(url) : undefined;
    if (!list) throw refusalOf(context);
    const { headers, body } = await answerList(services.snapshots, context, list);
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : body);
    return response.statusCode;
  } catch (err: unknown) {
    if (signal.aborted) return undefined;
    const refusal = err instanceof RegistryError ? err : unavailable(services, context, err);
    if (refusal.status === 405) response.setHeader("allow", "GET, HEAD"); // RFC 9110 § 15.5.6
    sendError(response, refusal);
    return response.statusCode;
  } finally {
    request.resume(); // a puller that pushes must be able to read the answer
  }
}

function refusalOf({ request: { method }, url }: RequestContext): RegistryError {
  const [path = ""] = url.split("?", 1);
  if (!isRead(method)) {
    const why =
      "this endpoint reaches the registry over NDN alone (--upstream none): push and delete at the registry itself";
    return new RegistryError("UNSUPPORTED", why);
  }
  const { reference } = parseManifestPath(path) ?? {};
  if (reference !== undefined && (isTag(reference) || parseSha256(reference)))
    return new RegistryError("UNKNOWN", "this request for a manifest cannot be answered");
  if (reference !== undefined)
    return new RegistryError("MANIFEST_UNKNOWN", "manifests are on NDN by their sha256 only");
  return new RegistryError("UNSUPPORTED", "this is not available over NDN", { status: 404 });
}

function unavailable({ log }: NdnUpstreamServices, { url }: RequestContext, err: unknown): RegistryError {
  const silence = asUnreachable(err);
  const path = url.split("?", 1)[0];
  if (!(silence instanceof RegistryUnreachable)) {
    log.error({ err, path }, "request failed");
    return new RegistryError("UNKNOWN", "internal error, see the log");
  }
  log.warn({ path, reason: reasonOf(err) }, "no one answers over NDN");
  return new RegistryError("UNAVAILABLE", `no one answers over NDN: ${reasonOf(err)}`);
}

function refusal(question: Question, message: string): UpstreamReply {
  return replyTo(question, 404, JSON.stringify(new RegistryError("MANIFEST_UNKNOWN", message)));
}

function replyTo({ method }: Question, status: number, text: string): UpstreamReply {
  const headers = { ...apiVersion, "content-type": "application/json", "content-length": `${Buffer.byteLength(text)}` };
  return { status, headers, body: method === "HEAD" ? empty() : Readable.from([Buffer.from(text)]), by: "ndn" };
}

function empty(): Readable {
  return Readable.from([]);
}
