/**
 * Blobs that are cached here, whole or so far, for pullers that may have them.
 */

import type { FetchedBlob } from "#fetch/fetcher.ts";
import type { Digest } from "#oci/digest.ts";
import { formatContentRange, parseRange } from "#oci/range.ts";
import { blobHeaders } from "../http/blob-headers.ts";
import { isConditional } from "../http/blob-range.ts";
import { answerCached } from "../http/cached-answer.ts";
import type { BlobRequest, BlobServices } from "./blob-request.ts";
import { mayUseCached, sourcesFor } from "./blob-sources.ts";
import { eventsOf, sendRead } from "./whole-blob.ts";

/**
 * Answer from the store.
 *
 * @returns False, with nothing sent, when it is not cached, not for this puller, or asked for in a way that only the
 * upstream answers.
 * @throws RegistryUnreachable when nobody says whether the puller may have it.
 */
export async function serveCached(services: BlobServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  const { request, response, signal, record } = asked;
  const cached = await services.cache?.store.open(digest);
  if (!cached) return false;
  try {
    if (!mayUseCached(services, asked.repository, digest) || !(await isGranted(services, asked, digest))) return false;
    record.met("store");
    record.sized(cached.sizeBytes);
    return await answerCached(request, response, cached, { signal, wrote: (bytes) => record.wrote("store", bytes) });
  } finally {
    await cached.close();
  }
}

/**
 * Answer a part of a blob that is being fetched, or that can be fetched in parts because each is verified.
 *
 * @returns False, with nothing sent, when the upstream is to be asked for it.
 */
export async function servePart(services: BlobServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  const { request, response, repository, record } = asked;
  const { range: header } = request.headers;
  const range = header === undefined || isConditional(request.headers) ? undefined : parseRange(header);
  const fetches = services.cache?.fetches;
  if (!range || !fetches || !(await isGranted(services, asked, digest))) return false;
  const enough = new AbortController();
  const signal = AbortSignal.any([asked.signal, enough.signal]);
  try {
    const sources = sourcesFor(services, asked.puller, repository, digest);
    const events = eventsOf(services, asked, digest);
    const isOurs = mayUseCached(services, repository, digest);
    const read =
      fetches.joinRange(digest, range, signal) ??
      (sources[0]!.isVerified
        ? await fetches.readRange({ repository, digest }, range, sources, signal, events, isOurs)
        : undefined);
    if (!read) return false;
    record.met(read.isFollower ? "follower" : "miss");
    record.sized(read.range.end - read.range.start);
    response.writeHead(206, headersOf(digest, read));
    await sendRead(services, asked, digest, read, signal);
    return true;
  } finally {
    enough.abort();
  }
}

function headersOf(digest: Digest, { sizeBytes, source, range }: FetchedBlob) {
  return {
    ...blobHeaders(digest, sizeBytes, source, false),
    "content-length": range.end - range.start,
    "content-range": formatContentRange(range, sizeBytes),
  };
}

async function isGranted(
  { authorize, rights, metrics }: BlobServices,
  { puller, repository }: Pick<BlobRequest, "puller" | "repository">,
  digest: Digest,
): Promise<boolean> {
  if (authorize === "none") return true;
  const right = await rights.ask(puller, { repository, digest });
  if (right.kind === "granted" && right.offline) metrics.offlineAnswers.inc({ what: "blob" });
  return right.kind === "granted";
}
