/**
 * GET and HEAD of a blob.
 */
import type { ServerResponse } from "node:http";
import type { Logger } from "pino";
import { findCause } from "#base/errors.ts";
import { BlobCorrupt, BlobUnavailable, BlobUnknown } from "#blob/source.ts";
import { NotShareable, UpstreamAnswer } from "#blob/upstream-source.ts";
import { RegistryError } from "#oci/errors.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import { type Patience, RegistryUnreachable } from "#oci/registry-client.ts";
import {
  etagOf,
  PullerGone,
  provenance,
  sendAnswer,
  sendError,
  sendUnavailable,
  sendVerdict,
} from "../http/answers.ts";
import { answerCached } from "../http/cached-answer.ts";
import { isWhole, judgeConditions, wantedBy } from "../http/semantics.ts";
import type { RequestContext } from "../registries/router.ts";
import { learnRight } from "../rights/learn-right.ts";
import { RightUnanswered } from "../rights/rights.ts";
import { BlobRecord } from "../status/blob-record.ts";
import type { Outcome } from "../status/metrics.ts";
import type { PullLog } from "../status/pull-log.ts";
import { upstreamErrorKind } from "../status/upstream-answer.ts";
import type { BlobRequest, PassServices, ServeServices } from "./blob-request.ts";
import { passBlob, passHead } from "./pass-blob.ts";
import { headFromNdn, mayUseCached, serveBlob, serveCached, type WantedOfBlob } from "./serve-blob.ts";

/** What the blob handler of one registry uses. */
export interface BlobServices extends ServeServices, PassServices {
  readonly pulls: PullLog;
  readonly log: Logger;
}

/** A request whose path names a blob. */
export type BlobHandler = (context: RequestContext, blob: { repository: string; digest: string }) => Promise<void>;

/** The handler of GET and HEAD of blobs; it always ends or breaks off the response, and never rejects. */
export function createBlobRoute(services: BlobServices): BlobHandler {
  return async (context, { repository, digest }) => {
    const { request, response, registry, puller, signal } = context;
    const asked = { ...context, repository };
    if (request.method === "HEAD") return answerHead(services, asked, digest);
    const client = request.socket.remoteAddress ?? "";
    const why = () => services.sources.whyNoNdn(parseSha256(digest));
    const isPart = request.headers.range !== undefined;
    const record = new BlobRecord(services, { client, registry, repository, digest, isPart }, why);
    try {
      await answerGet(services, { ...asked, record }, digest);
      record.end(response.statusCode < 400 ? "complete" : "refused");
    } catch (err: unknown) {
      if (err instanceof UpstreamAnswer) learnRight(services.rights, { puller, repository, digest }, err.status);
      record.end(settle(services, response, signal, err), err);
    }
  };
}

async function answerGet(services: BlobServices, asked: BlobRequest, digestText: string): Promise<void> {
  const digest = parseSha256(digestText);
  if (digest === undefined) return passBlob(services, asked, digestText, "answer");
  let patientWith: Patience | undefined;
  const leftToUpstream = (err: unknown): false => {
    const isLeft = err instanceof NotShareable || err instanceof RightUnanswered;
    if (!isLeft || asked.response.headersSent) throw err;
    patientWith = "answer"; // only the upstream itself can
    return false;
  };
  if (await serve(services, asked, digest).catch(leftToUpstream)) return;
  try {
    await passBlob(services, asked, digest, patientWith ?? (isElsewhere(services, digest) ? "body" : "answer"));
  } catch (err: unknown) {
    if (!(err instanceof RegistryUnreachable) || asked.response.headersSent) throw err;
    const wanted = (await whatIsWanted(services, asked, digest)) ?? { ranges: [] };
    if (!(await serveBlob(services, asked, digest, { ...wanted, isLastResort: true }))) throw err;
  }
}

/** False, with nothing sent, when the upstream is to answer. */
async function serve(services: BlobServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  if (await serveCached(services, asked, digest)) return true;
  if (await answerCondition(services, asked, digest)) return true;
  const wanted = await whatIsWanted(services, asked, digest);
  return wanted !== undefined && serveBlob(services, asked, digest, wanted);
}

/** Answer 304 or 412 if that is what the puller's conditions come to, for a blob that it may have. */
async function answerCondition(
  { rights }: Pick<BlobServices, "rights">,
  { request, response, repository, puller }: BlobRequest,
  digest: Digest,
): Promise<boolean> {
  const verdict = judgeConditions(request.headers, etagOf(digest));
  if (!verdict || (await rights.ask(puller, { repository, digest })).kind !== "granted") return false;
  sendVerdict(response, verdict, { digest, source: "upstream" });
  return true;
}

/**
 * Undefined when the upstream is to say what the request means. A range of all of the blob is one to its end: the
 * upstream says the size with the puller's right.
 */
async function whatIsWanted(
  { rights }: Pick<BlobServices, "rights">,
  { request, repository, puller }: BlobRequest,
  digest: Digest,
): Promise<WantedOfBlob | undefined> {
  const wanted = wantedBy(request.headers, etagOf(digest));
  if (wanted.kind === "whole") return { ranges: undefined };
  if (wanted.kind === "invalid") return undefined;
  const [range, ...others] = wanted.ranges;
  const isPerhapsWhole =
    others.length === 0 && ("suffix" in range! || (range!.start === 0 && range!.end !== undefined));
  if (!isPerhapsWhole) return wanted;
  const right = await rights.ask(puller, { repository, digest });
  const sizeBytes = right.kind === "granted" ? right.sizeBytes : undefined;
  return sizeBytes !== undefined && isWhole(range!, sizeBytes) ? { ranges: [{ start: 0, end: undefined }] } : wanted;
}

async function answerHead(
  services: BlobServices,
  asked: Omit<BlobRequest, "record">,
  digestText: string,
): Promise<void> {
  const digest = parseSha256(digestText);
  try {
    const pass = (patientWith?: Patience) =>
      passHead(services, asked, digestText, patientWith, () => headFromStore(services, asked, digest));
    if (digest === undefined || !isElsewhere(services, digest)) return await pass("answer");
    await pass().catch(async (err: unknown) => {
      if (!(err instanceof RegistryUnreachable)) throw err;
      const { base } = services.registry;
      const isAnswered = await headWithoutUpstream(services, asked, digest).catch(base ? unlessUnavailable : rethrow);
      if (!isAnswered) await pass("answer");
    });
  } catch (err: unknown) {
    settle(services, asked.response, asked.signal, err);
  }
}

/** Whether another than the upstream may know the blob. */
function isElsewhere({ store, sources }: ServeServices, digest: Digest): boolean {
  return store?.has(digest) === true || sources.ndnAlone(digest) !== undefined;
}

function rethrow(err: unknown): never {
  throw err;
}

function unlessUnavailable(err: unknown): false {
  if (err instanceof BlobUnavailable || err instanceof BlobCorrupt) return false;
  throw err;
}

/** From what is cached, for those who may have it; else from NDN's metadata. False when neither is there. */
async function headWithoutUpstream(
  services: BlobServices,
  asked: Omit<BlobRequest, "record">,
  digest: Digest,
): Promise<boolean> {
  if (await headFromStore(services, asked, digest)) return true;
  const ndn = services.sources.ndnAlone(digest);
  if (!ndn) return false;
  await headFromNdn(ndn, asked, digest);
  return true;
}

async function headFromStore(
  services: BlobServices,
  { request, response, repository, puller, signal }: Omit<BlobRequest, "record">,
  digest: Digest | undefined,
): Promise<boolean> {
  const { rights, store, metrics } = services;
  const isOurs = digest !== undefined && mayUseCached(services, repository, digest);
  const mayHave = isOurs && rights.mayOffline(puller.identity, repository, digest);
  const cached = mayHave ? await store?.open(digest) : undefined;
  if (!cached) return false;
  metrics.offlineAnswers.inc({ what: "blob" });
  try {
    await answerCached(request, response, cached, { signal });
    return true;
  } finally {
    await cached.close();
  }
}

/** End a response whose work failed: with an answer while that is possible, else by breaking off the connection. */
function settle(
  services: Pick<BlobServices, "registry" | "metrics" | "log">,
  response: ServerResponse,
  signal: AbortSignal,
  err: unknown,
): Outcome {
  if (signal.aborted || err instanceof PullerGone) {
    response.destroy();
    return "cancelled";
  }
  if (!isExpected(err)) services.log.error({ err }, "blob request failed");
  if (response.headersSent) {
    // Destroyed, not ended: the puller must see that Content-Length was not reached.
    response.destroy();
    return "broken";
  }
  if (err instanceof UpstreamAnswer) {
    sendAnswer(response, err, provenance("upstream"));
    return "refused";
  }
  const { base } = services.registry;
  if (!base && findCause(err, BlobUnknown)) {
    sendError(response, new RegistryError("BLOB_UNKNOWN", "the registry has no such blob, or hides it"));
    return "refused";
  }
  if (base && err instanceof RegistryUnreachable) services.metrics.upstreamErrors.inc(upstreamErrorKind(err));
  if (err instanceof RegistryUnreachable || err instanceof BlobUnavailable) sendUnavailable(response, base, err);
  else sendError(response, refusalFor(err));
  return "unavailable";
}

function isExpected(err: unknown): boolean {
  return [BlobUnavailable, BlobCorrupt, UpstreamAnswer, RegistryUnreachable].some((type) => err instanceof type);
}

function refusalFor(err: unknown): RegistryError {
  if (err instanceof BlobCorrupt)
    return new RegistryError("UNAVAILABLE", `no source has the right bytes: ${err.message}`);
  return new RegistryError("UNKNOWN", "internal error, see the log");
}
