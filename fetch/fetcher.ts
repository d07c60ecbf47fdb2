/**
 * The port at which pullers read blobs: "this blob, or this range of it, with this puller's rights", whether or not
 * there is a store, and whether or not others read the same.
 */
import type { ReadEvents } from "#blob/fallback.ts";
import type { BlobRef, BlobSource } from "#blob/source.ts";
import { openVerified, type VerifiedRead } from "#blob/verify.ts";
import type { RangeRequest } from "#oci/range.ts";

/** What one puller wants. */
export interface FetchRequest {
  readonly blob: BlobRef;
  /** Where it may be read with this puller's rights, in the order in which they are to be asked. */
  readonly sources: readonly BlobSource[];
  /** @defaultValue all of it */
  readonly range?: RangeRequest | undefined;
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
  /** What the chunks carry, `[start, end)`. */
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
  /** Whether what is cached may be there because of another registry. */
  readonly areOthers: boolean;
}

/**
 * A fetcher without a store: each puller reads for itself, and ranges are the upstream's.
 *
 * @param onChange - Called when a read begins (1) and when its signal fires (-1), which the caller does in any case.
 */
export function createDirectFetcher(onChange: (change: 1 | -1) => void): Fetcher {
  return {
    areOthers: false,
    async fetch({ blob, sources, range, events }, signal) {
      signal.throwIfAborted();
      if (range) return undefined;
      onChange(1);
      signal.addEventListener("abort", () => onChange(-1), { once: true });
      const read = await openVerified(sources, blob, signal, events);
      return { ...read, isFollower: false, range: { start: 0, end: read.sizeBytes } };
    },
  };
}
