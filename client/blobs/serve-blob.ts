/**
 * A blob for one puller: from the cache, or as it is fetched; others who want it meanwhile follow the same fetch.
 */
import { following } from "#base/abort.ts";
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobSource, BlobUnavailable } from "#blob/source.ts";
import type { VerifiedRead } from "#blob/verify.ts";
import type { FetchedBlob } from "#fetch/fetcher.ts";
import type { RangeRequest } from "#oci/body-headers.ts";
import type { Digest } from "#oci/reference.ts";
import { blobHeaders, etagOf, sendParts, sendUnsatisfiable, sendVerdict, writeChunk } from "../http/answers.ts";
import { answerCached } from "../http/cached-answer.ts";
import { judgeConditions, type Part, partsOf } from "../http/semantics.ts";
import { learnRight } from "../rights/learn-right.ts";
import type { BlobRequest, ServeServices } from "./blob-request.ts";

/**
 * Answer from the store.
 *
 * @returns False, with nothing sent, when it is not cached, or not for this puller.
 * @throws RegistryUnreachable when no one says whether the puller may have it.
 */
export async function serveCached(services: ServeServices, asked: BlobRequest, digest: Digest): Promise<boolean> {
  const { request, response, signal, record } = asked;
  const cached = await services.store?.open(digest);
  if (!cached) return false;
  try {
    if (!mayUseCached(services, asked.repository, digest) || !(await isGranted(services, asked, digest))) return false;
    record.result = "store";
    record.sizeBytes = cached.sizeBytes;
    await answerCached(request, response, cached, { signal, wrote: (bytes) => record.wrote("store", bytes) });
    return true;
  } finally {
    await cached.close();
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

/** What a puller wants of a blob, and whom else it may be asked. */
export interface WantedOfBlob {
  /** One after the other; of none only the size is told (416). @defaultValue all of it */
  readonly ranges?: readonly RangeRequest[] | undefined;
  /** The upstream cannot be asked for it. @defaultValue false */
  readonly isLastResort?: boolean | undefined;
}

/**
 * Serve the blob, or ranges of it; false, with nothing sent, when the upstream is to be asked for them, or when it
 * refuses the puller what others or the disk have: its own answer is then the puller's.
 *
 * @throws The errors of `openVerified`, also after bytes have been sent.
 */
export async function serveBlob(
  services: ServeServices,
  asked: BlobRequest,
  digest: Digest,
  { ranges: all, isLastResort }: WantedOfBlob,
): Promise<boolean> {
  const { response, repository, puller, record } = asked;
  const isGivenInParts = (all?.length ?? 0) < 2 || isVerified(services, asked, digest);
  if (!isGivenInParts && !isLastResort) return false;
  const ranges = isGivenInParts ? all : undefined;
  const enough = following(asked.signal);
  const { signal } = enough;
  const enoughOfFirst = following(signal);
  const open = (range: RangeRequest | undefined, until = signal) => {
    const blob = { repository, digest };
    const sources = services.sources.for(puller, blob);
    const events = eventsOf(services, asked, digest);
    const mayUse = mayUseCached(services, repository, digest);
    return services.fetcher.fetch({ blob, sources, range, isLastResort, events, mayUseCached: mayUse }, until);
  };
  try {
    const read = await open(ranges?.[0], enoughOfFirst.signal);
    if (!read || !(await mayHave(services, asked, digest, read))) return false;
    const { sizeBytes, source } = read;
    record.result = read.isFollower ? "follower" : "miss";
    const blob = { digest, sizeBytes, source };
    const parts = ranges && partsOf({ kind: "ranges", ranges }, sizeBytes);
    if (parts?.length === 0) sendUnsatisfiable(response, blob);
    else {
      record.sizeBytes = parts ? parts.reduce((sum, { start, end }) => sum + end - start, 0) : sizeBytes;
      let unread: FetchedBlob | undefined = read;
      const send = async (part: Part) => {
        const isOpen = unread?.range.start === part.start && unread.range.end === part.end;
        if (!isOpen) enoughOfFirst.abort(); // not read, it would hold up others
        const one = isOpen ? unread : await open(parts && part);
        unread = undefined;
        if (!one) throw new BlobUnavailable(`bytes ${part.start} to ${part.end} cannot be read`);
        await sendRead(services, asked, digest, one, signal);
      };
      await sendParts(response, blob, parts, send, signal);
    }
    return true;
  } finally {
    enough.abort(answered);
  }
}

/** Made once: an abort without a reason makes a new one, with a stack. */
const answered = new Error("the request is answered");

/** Whether each piece is checked by itself: else of several ranges a later one may be gone when its turn comes. */
function isVerified(
  { sources }: Pick<ServeServices, "sources">,
  { puller, repository }: Pick<BlobRequest, "puller" | "repository">,
  digest: Digest,
): boolean {
  return sources.for(puller, { repository, digest })[0]?.isVerified === true;
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
  const ends = read.brokenOff ? following(signal, read.brokenOff).signal : signal;
  for await (const { source, bytes } of read.chunks) {
    await writeChunk(response, bytes, ends);
    record.wrote(source, bytes.length);
  }
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
  const enough = following(blob.signal);
  try {
    const { sizeBytes } = await ndn.open({ repository: blob.repository, digest }, { offset: 0, end: 0 }, enough.signal);
    const described = { digest, sizeBytes, source: ndn.name };
    const verdict = judgeConditions(blob.request.headers, etagOf(digest));
    if (verdict) sendVerdict(blob.response, verdict, described);
    else blob.response.writeHead(200, blobHeaders(described)).end();
  } finally {
    enough.abort(answered);
  }
}
