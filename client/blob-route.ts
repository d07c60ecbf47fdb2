/**
 * GET and HEAD of a blob.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { BlobCorrupt, BlobUnavailable } from "#blob/source.ts";
import { LengthUnknown, UpstreamAnswer } from "#blob/upstream-source.ts";
import { parseSha256 } from "#oci/digest.ts";
import { RegistryError } from "#oci/errors.ts";
import { RegistryUnreachable } from "#oci/registry-client.ts";
import { sendAnswer, sendError, upstreamUnavailable } from "./answers.ts";
import { provenance } from "./blob-headers.ts";
import { isWhole, wantedBy } from "./blob-range.ts";
import { BlobRecord, type Outcome } from "./blob-record.ts";
import type { BlobRequest, BlobServices } from "./blob-request.ts";
import { passBlob, passHead } from "./pass-blob.ts";
import { signalOf } from "./response-body.ts";
import { upstreamErrorKind } from "./status/upstream-error.ts";
import { headFromNdn, serveWhole, trustedNdn } from "./whole-blob.ts";

/** A request whose path names a blob. */
export type BlobHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  blob: { repository: string; digest: string },
) => Promise<void>;

/** The handler of GET and HEAD of blobs; it always ends or breaks off the response, and never rejects. */
export function createBlobRoute(services: BlobServices): BlobHandler {
  return async (request, response, { repository, digest }) => {
    const signal = signalOf(response);
    if (request.method === "HEAD") return answerHead(services, { request, response, repository, signal }, digest);
    const record = new BlobRecord(services.log, services.metrics, { repository, digest });
    try {
      await answerGet(services, { request, response, repository, signal, record }, digest);
      record.end(response.statusCode < 400 ? "complete" : "refused");
    } catch (err: unknown) {
      record.end(settle(services, response, signal, err), err);
    }
  };
}

async function answerGet(services: BlobServices, blob: BlobRequest, digestText: string): Promise<void> {
  const digest = parseSha256(digestText);
  const wanted = wantedBy(blob.request.headers);
  if (digest === undefined || wanted.kind === "other") return passBlob(services, blob, digestText);
  if (wanted.kind === "perhaps whole") {
    const { repository, request } = blob;
    const right = await services.authorization.ask(request.headers.authorization, { repository, digest });
    const sizeBytes = right.kind === "granted" ? right.sizeBytes : undefined;
    if (sizeBytes === undefined || !isWhole(wanted.range, sizeBytes)) return passBlob(services, blob, digest);
  }
  try {
    const isServed = await serveWhole(services, blob, digest, wanted.range);
    if (!isServed) await passBlob(services, blob, digest);
  } catch (err: unknown) {
    if (!(err instanceof LengthUnknown) || blob.response.headersSent) throw err;
    await passBlob(services, blob, digest);
  }
}

async function answerHead(
  services: BlobServices,
  blob: Omit<BlobRequest, "record">,
  digestText: string,
): Promise<void> {
  try {
    await passHead(services, blob, digestText).catch(async (err: unknown) => {
      const digest = parseSha256(digestText);
      const ndn = err instanceof RegistryUnreachable && digest ? trustedNdn(services, digest) : undefined;
      if (!ndn || !digest) throw err;
      await headFromNdn(ndn, blob, digest);
    });
  } catch (err: unknown) {
    settle(services, blob.response, blob.signal, err);
  }
}

/** End a response whose work failed: with an answer while that is possible, else by breaking off the connection. */
function settle(services: BlobServices, response: ServerResponse, signal: AbortSignal, err: unknown): Outcome {
  if (signal.aborted) {
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
  sendError(response, refusalFor(services, err));
  return "unavailable";
}

function isExpected(err: unknown): boolean {
  return [BlobUnavailable, BlobCorrupt, UpstreamAnswer, RegistryUnreachable].some((type) => err instanceof type);
}

function refusalFor({ registry, metrics }: BlobServices, err: unknown): RegistryError {
  if (err instanceof RegistryUnreachable) metrics.upstreamErrors.inc(upstreamErrorKind(err));
  if (err instanceof RegistryUnreachable || err instanceof BlobUnavailable)
    return upstreamUnavailable(registry.base, err);
  if (err instanceof BlobCorrupt)
    return new RegistryError("UNAVAILABLE", `no source has the right bytes: ${err.message}`);
  return new RegistryError("UNKNOWN", "internal error, see the log");
}
