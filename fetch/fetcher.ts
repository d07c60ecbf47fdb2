/**
 * The port at which pullers read blobs: "this blob, or this range of it, with this puller's rights", whether or not
 * there is a store, and whether or not others read the same.
 */
import { following } from "#base/abort.ts";
import { openWithFallback, type ReadEvents } from "#blob/fallback.ts";
import { BlobCorrupt, type BlobRef, type BlobSource, BlobUnavailable } from "#blob/source.ts";
import { NotShareable, UpstreamAnswer } from "#blob/upstream-source.ts";
import { openVerified, type VerifiedRead } from "#blob/verify.ts";
import { type RangeRequest, resolveRange } from "#oci/body-headers.ts";
import type { Digest } from "#oci/reference.ts";

/** What one puller wants. */
export interface FetchRequest {
  readonly blob: BlobRef;
  /** Where it may be read with this puller's rights, in the order in which they are to be asked. */
  readonly sources: readonly BlobSource[];
  /** @defaultValue all of it */
  readonly range?: RangeRequest | undefined;
  /** No one else can be asked for the range: it waits for the whole blob, however far that is. @defaultValue false */
  readonly isLastResort?: boolean | undefined;
  /** No puller waits for it: others come first. @defaultValue false */
  readonly isAhead?: boolean | undefined;
  readonly events?: ReadEvents | undefined;
  /**
   * Whether this registry's pullers may have what is there of the blob, whichever registry it was fetched for.
   * @defaultValue only where their rights are asked, or where there is no other registry
   */
  readonly mayUseCached?: boolean | undefined;
}

/** What a puller gets; the chunks are to be iterated once, or the signal to be fired. */
export interface FetchedBlob extends VerifiedRead {
  /** Whether the puller's own sources are not asked: another puller fetches, or the store has it. */
  readonly isFollower: boolean;
  /** What the chunks carry, `[start, end)`; empty at the blob's end when the range cannot be satisfied. */
  readonly range: { readonly start: number; readonly end: number };
  /**
   * Fires when this puller is too slow for the others that share its fetch: it is to be broken off at once, with what
   * it is being sent.
   */
  readonly brokenOff?: AbortSignal | undefined;
}

/** Reads blobs of one registry. */
export interface Fetcher {
  /**
   * Begin to read; resolves when the size is known. What is wrong never completes, as with `openVerified`.
   *
   * No rights are checked here, and others' sources or the disk may deliver: the caller asks for the puller's own right
   * beside this call, and awaits it before it takes the first chunk or gives out the size. A puller that is refused just
   * leaves: the caller fires `signal`.
   *
   * @param signal - Leaves, at any time; to be fired when all is over.
   * @returns Undefined, for a range only, when the upstream is to be asked for it.
   * @throws The errors of `openVerified`; also the chunks throw them.
   */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchedBlob | undefined>;
  /** Resolves when the blob is not being fetched: it is in the store then, if it could be kept. @throws the signal's reason */
  ended(digest: Digest, signal: AbortSignal): Promise<void>;
  /** Whether what is cached may be there because of another registry. */
  readonly areOthers: boolean;
}

/**
 * A part of a blob for one puller alone, from its first byte on, each piece verified.
 *
 * @returns Undefined where the first source does not verify, or none of them begins: it is the upstream's to answer.
 */
export async function openPart(
  { blob, sources, events }: FetchRequest,
  range: RangeRequest,
  signal: AbortSignal,
): Promise<FetchedBlob | undefined> {
  if (!sources[0]?.isVerified) return undefined;
  const open = (wanted: { start: number; end: number }, until = signal) =>
    openWithFallback(sources, blob, until, events, wanted);
  try {
    const { start, end = Number.POSITIVE_INFINITY } =
      "start" in range ? range : partOf(range, await sizeBy((until) => open({ start: 0, end: 0 }, until), signal));
    const { sizeBytes, source, chunks } = await open({ start, end });
    return { sizeBytes, source, chunks, isFollower: false, range: partOf({ start, end }, sizeBytes) };
  } catch (err: unknown) {
    signal.throwIfAborted();
    const kinds = [BlobUnavailable, BlobCorrupt, UpstreamAnswer, NotShareable];
    if (!kinds.some((kind) => err instanceof kind)) throw err;
    return undefined;
  }
}

/** The size that a read of nothing tells; it is ended, as one of an upstream has begun to send. */
async function sizeBy(
  open: (until: AbortSignal) => Promise<{ readonly sizeBytes: number }>,
  signal: AbortSignal,
): Promise<number> {
  const known = following(signal);
  try {
    return (await open(known.signal)).sizeBytes;
  } finally {
    known.abort();
  }
}

/** What `range` selects; an empty range at the blob's end when it cannot be satisfied. */
export function partOf(range: RangeRequest, sizeBytes: number): FetchedBlob["range"] {
  return resolveRange(range, sizeBytes) ?? { start: sizeBytes, end: sizeBytes };
}

/**
 * A fetcher without a store: each puller that wants all of a blob reads for itself. Who asks for ranges comes back for
 * more, and shares a fetch in memory.
 *
 * @param ranges - Fetches ranges.
 * @param onChange - Called when a read begins (1) and when its signal fires (-1), which the caller does in any case.
 */
export function createDirectFetcher(ranges: Pick<Fetcher, "fetch">, onChange: (change: 1 | -1) => void): Fetcher {
  return {
    areOthers: false,
    ended: async () => undefined,
    async fetch(request, signal) {
      const { blob, sources, events } = request;
      signal.throwIfAborted();
      onChange(1);
      signal.addEventListener("abort", () => onChange(-1), { once: true });
      if (request.range) return ranges.fetch(request, signal);
      const read = await openVerified(sources, blob, signal, events);
      return { ...read, isFollower: false, range: { start: 0, end: read.sizeBytes } };
    },
  };
}
