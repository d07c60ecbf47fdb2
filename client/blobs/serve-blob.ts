/**
 * A blob for one puller: from the cache, or as it is fetched; others who want it meanwhile follow the same fetch.
 */
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobSource, fromStart } from "#blob/source.ts";
import type { VerifiedRead } from "#blob/verify.ts";
import type { FetchedBlob } from "#fetch/fetcher.ts";
import type { Digest } from "#oci/digest.ts";
import { formatContentRange, parseRange, type RangeRequest } from "#oci/range.ts";
import { blobHeaders, endBody, writeChunk } from "../http/answers.ts";
import { answerCached } from "../http/cached-answer.ts";
import { isConditional, isWhole } from "../http/semantics.ts";
import { learnRight } from "../rights/rights.ts";
import type { BlobRequest, ServeServices } from "./blob-request.ts";

/**
 * Answer from the store.
 *
 * @returns False, with nothing sent, when it is not cached, not for this puller, or asked for in a way that only the
 * upstream answers.
 * @throws RegistryUnreachable when no one says whether the puller may have it.
 */
export async function serveCached(services: ServeServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  const { request, response, signal, record } = asked;
  const cached = await services.store?.open(digest);
  if (!cached) return false;
  try {
    if (!mayUseCached(services, asked.repository, digest) || !(await isGranted(services, asked, digest))) return false;
    record.met("store");
    record.sizeBytes = cached.sizeBytes;
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
export async function servePart(services: ServeServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  const { request, response, repository, record } = asked;
  const { range: header } = request.headers;
  const range = header === undefined || isConditional(request.headers) ? undefined : parseRange(header);
  if (!range || !services.store || !(await isGranted(services, asked, digest))) return false;
  const enough = new AbortController();
  const signal = AbortSignal.any([asked.signal, enough.signal]);
  try {
    const sources = services.sources.for(asked.puller, { repository, digest });
    const events = eventsOf(services, asked, digest);
    const mayUse = mayUseCached(services, repository, digest);
    const wanted = { blob: { repository, digest }, sources, range, events, mayUseCached: mayUse };
    const read = await services.fetcher.fetch(wanted, signal);
    if (!read) return false;
    record.met(read.isFollower ? "follower" : "miss");
    record.sizeBytes = read.range.end - read.range.start;
    response.writeHead(206, headersOf(digest, read));
    await sendRead(services, asked, digest, read, signal);
    return true;
  } finally {
    enough.abort();
  }
}

/**
 * Whether what is there of a blob may be used for any puller of this registry, as far as `authorize: none` decides it:
 * the store may have it because of another registry, and then only if this one is known to have served it too. With
 * `authorize: upstream` it may, and the puller's right is asked beside.
 */
export function mayUseCached(
  { authorize, rights, fetcher }: Pick<ServeServices, "authorize" | "rights" | "fetcher">,
  repository: string,
  digest: Digest,
): boolean {
  return authorize === "upstream" || !fetcher.areOthers || rights.hasServed(repository, digest);
}

function headersOf(digest: Digest, { sizeBytes, source, range }: FetchedBlob) {
  return {
    ...blobHeaders(digest, sizeBytes, source, false),
    "content-length": range.end - range.start,
    "content-range": formatContentRange(range, sizeBytes),
  };
}

async function isGranted(
  { authorize, rights, metrics }: ServeServices,
  { puller, repository }: Pick<BlobRequest, "puller" | "repository">,
  digest: Digest,
): Promise<boolean> {
  if (authorize === "none") return true;
  const right = await rights.ask(puller, { repository, digest });
  if (right.kind === "granted" && right.offline) metrics.offlineAnswers.inc({ what: "blob" });
  return right.kind === "granted";
}

/**
 * Serve the whole blob; false, with nothing sent, when `range` turns out not to be all of it, or when the upstream
 * refuses the puller what others or the disk have: its own answer is then the puller's.
 *
 * @throws The errors of `openVerified`, also after bytes have been sent.
 */
export async function serveWhole(
  services: ServeServices,
  asked: BlobRequest,
  digest: Digest,
  range: RangeRequest | undefined,
): Promise<boolean> {
  const { response, repository, puller, record } = asked;
  const enough = new AbortController();
  const signal = AbortSignal.any([asked.signal, enough.signal]);
  const blob = { repository, digest };
  const sources = services.sources.for(puller, blob);
  const events = eventsOf(services, asked, digest);
  const mayUse = mayUseCached(services, repository, digest);
  try {
    const read = await services.fetcher.fetch({ blob, sources, events, mayUseCached: mayUse }, signal);
    if (!read) return false;
    if (range && !isWhole(range, read.sizeBytes)) return false;
    if (!(await mayHave(services, asked, digest, read))) return false;
    record.met(read.isFollower ? "follower" : "miss");
    record.sizeBytes = read.sizeBytes;
    response.writeHead(range ? 206 : 200, blobHeaders(digest, read.sizeBytes, read.source, range !== undefined));
    await sendRead(services, asked, digest, read, signal);
    return true;
  } finally {
    enough.abort();
  }
}

/** Send the bytes of a read of this blob, or of a part of it; the head of the response is written before. */
async function sendRead(
  services: ServeServices,
  { response, record }: Pick<BlobRequest, "response" | "record">,
  digest: Digest,
  read: Pick<FetchedBlob, "chunks" | "brokenOff">,
  signal: AbortSignal,
): Promise<void> {
  // A puller that holds up others for too long is broken off.
  const ends = read.brokenOff ? AbortSignal.any([signal, read.brokenOff]) : signal;
  for await (const { source, bytes } of read.chunks) {
    await writeChunk(response, bytes, ends);
    record.wrote(source, bytes.length);
  }
  await endBody(response, ends);
  // A blob whose bytes have been proven and sent is one that this registry serves; before that NDN may have lied.
  if (services.authorize === "none") services.rights.served(digest);
}

/** Whether this puller may have what is read: NDN and upstream have been asked in its name, others and the disk not. */
async function mayHave(
  { authorize, rights }: ServeServices,
  { puller, repository }: BlobRequest,
  digest: Digest,
  { isFollower, source, sizeBytes }: VerifiedRead & { readonly isFollower: boolean },
): Promise<boolean> {
  if (!isFollower && source === "upstream") learnRight(rights, { puller, repository, digest }, 200, sizeBytes);
  if (authorize === "none" || (!isFollower && source !== "store")) return true;
  return (await rights.ask(puller, { repository, digest })).kind === "granted";
}

/** What a read tells the record of its request. */
function eventsOf(services: ServeServices, { record }: BlobRequest, digest: Digest): ReadEvents {
  return {
    unavailable: (source, offset, err) => record.failed(source, `byte ${offset}: ${err.message}`, err),
    corrupt: (source, err) => {
      record.failed(source, err.message);
      if (source === "ndn") services.sources.denyNdn(digest);
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
