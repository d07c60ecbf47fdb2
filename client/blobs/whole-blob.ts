/**
 * All of a blob, from whoever serves it, for one puller; others who want it meanwhile follow.
 */
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobSource, fromStart } from "#blob/source.ts";
import { openVerified, type VerifiedRead } from "#blob/verify.ts";
import type { FetchedBlob } from "#fetch/fetcher.ts";
import type { Digest } from "#oci/digest.ts";
import type { RangeRequest } from "#oci/range.ts";
import { blobHeaders } from "../http/blob-headers.ts";
import { isWhole } from "../http/blob-range.ts";
import { writeAll } from "../http/response-body.ts";
import { learnRight } from "../rights/rights.ts";
import type { BlobRequest, BlobServices } from "./blob-request.ts";
import { mayUseCached, sourcesFor } from "./blob-sources.ts";

/**
 * Serve the whole blob; false, with nothing sent, when `range` turns out not to be all of it, or when the upstream
 * refuses the puller what others or the disk have: its own answer is then the puller's.
 *
 * @throws The errors of `openVerified`, also after bytes have been sent.
 */
export async function serveWhole(
  services: BlobServices,
  asked: BlobRequest,
  digest: Digest,
  range: RangeRequest | undefined,
): Promise<boolean> {
  const { response, repository, puller, record } = asked;
  const enough = new AbortController();
  const signal = AbortSignal.any([asked.signal, enough.signal]);
  const blob = { repository, digest };
  const sources = sourcesFor(services, puller, repository, digest);
  const events = eventsOf(services, asked, digest);
  const { cache, metrics } = services;
  // Shared ones are counted where they are shared.
  if (!cache) metrics.fetchesInFlight.inc();
  try {
    const read: Omit<FetchedBlob, "range"> = cache
      ? await cache.fetches.read(blob, sources, signal, events, mayUseCached(services, repository, digest))
      : { ...(await openVerified(sources, blob, signal, events)), isFollower: false };
    if (range && !isWhole(range, read.sizeBytes)) return false;
    if (!(await mayHave(services, asked, digest, read))) return false;
    record.met(read.isFollower ? "follower" : "miss");
    record.sized(read.sizeBytes);
    response.writeHead(range ? 206 : 200, blobHeaders(digest, read.sizeBytes, read.source, range !== undefined));
    await sendRead(services, asked, digest, read, signal);
    return true;
  } finally {
    if (!cache) metrics.fetchesInFlight.dec();
    enough.abort();
  }
}

/** Send the bytes of a read of this blob, or of a part of it; the head of the response is written before. */
export async function sendRead(
  services: BlobServices,
  { response, record }: Pick<BlobRequest, "response" | "record">,
  digest: Digest,
  read: Pick<FetchedBlob, "chunks" | "brokenOff">,
  signal: AbortSignal,
): Promise<void> {
  await writeAll(
    response,
    read.chunks,
    ({ bytes }) => bytes,
    ({ source, bytes }) => record.wrote(source, bytes.length),
    untilBrokenOff(signal, read),
  );
  noteServed(services, digest);
}

/** Whether this puller may have what is read: NDN and upstream have been asked in its name, others and the disk not. */
async function mayHave(
  { authorize, rights }: BlobServices,
  { puller, repository }: BlobRequest,
  digest: Digest,
  { isFollower, source, sizeBytes }: VerifiedRead & { readonly isFollower: boolean },
): Promise<boolean> {
  if (!isFollower && source === "upstream") learnRight(rights, { puller, repository, digest }, 200, sizeBytes);
  if (authorize === "none" || (!isFollower && source !== "store")) return true;
  return (await rights.ask(puller, { repository, digest })).kind === "granted";
}

/** A blob whose bytes have been proven and sent is one that this registry serves; before that NDN may have lied. */
function noteServed({ authorize, rights }: BlobServices, digest: Digest): void {
  if (authorize === "none") rights.served(digest);
}

/** Fires when the puller goes away, or holds up others for too long. */
function untilBrokenOff(signal: AbortSignal, { brokenOff }: Pick<FetchedBlob, "brokenOff">): AbortSignal {
  return brokenOff ? AbortSignal.any([signal, brokenOff]) : signal;
}

/** What a read tells the record of its request. */
export function eventsOf(services: BlobServices, { record }: BlobRequest, digest: Digest): ReadEvents {
  return {
    unavailable: (source, offset, err) => record.failed(source, `byte ${offset}: ${err.message}`, err),
    corrupt: (source, err) => {
      record.failed(source, err.message);
      if (source === "ndn") services.distrust.add(digest);
    },
  };
}

/**
 * Answer a HEAD from NDN alone, when the upstream cannot be reached.
 *
 * @throws BlobUnavailable, BlobCorrupt
 */
export async function headFromNdn(ndn: BlobSource, blob: Omit<BlobRequest, "record">, digest: Digest): Promise<void> {
  const enough = new AbortController();
  try {
    const signal = AbortSignal.any([blob.signal, enough.signal]);
    const { sizeBytes } = await ndn.open({ repository: blob.repository, digest }, fromStart, signal);
    blob.response.writeHead(200, blobHeaders(digest, sizeBytes, ndn.name, false)).end();
  } finally {
    enough.abort();
  }
}
