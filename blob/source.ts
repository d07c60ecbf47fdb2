/**
 * The port at which blobs are read: a `BlobSource` delivers the bytes of a blob from any offset.
 */
import { type Digest, emptyDigest, hashOf } from "#oci/reference.ts";

/** Which blob, and where it may be asked for. */
export interface BlobRef {
  /** Repository name as in the URL, e.g. `team/app/web`; its grammar is already checked. */
  readonly repository: string;
  readonly digest: Digest;
}

/** Where the bytes of a response came from; the `source` label of the metrics. `peer` is reserved: no source has it yet. */
export type SourceName = "ndn" | "upstream" | "store" | "peer";

/** What of the blob a reader still wants. */
export interface ResumePoint {
  /** The first byte that it wants; 0 for a fresh start. */
  readonly offset: number;
  /** Size of the whole blob, where the reader knows it or a manifest says it. */
  readonly sizeBytes?: number | undefined;
  /**
   * To be called when something arrives that cannot be given out yet (such as metadata), and while others come first: it
   * is not silent.
   */
  readonly arrived?: (() => void) | undefined;
  /** Whether a reader waits for what comes next, or will soon; else others come first. @defaultValue true */
  readonly isWaitedFor?: (() => boolean) | undefined;
  /** It wants none from this one on: a source may end there, and asks no one for more. @defaultValue the blob's size */
  readonly end?: number | undefined;
  /**
   * sha256 of all bytes before `offset`, for sources that can only start over and must prove that they have the same
   * blob. Without it the reader does not have those bytes.
   */
  prefixSha256?(): Buffer;
}

/** A running read of one blob. */
export interface BlobRead {
  /** Size of the whole blob in bytes. */
  readonly sizeBytes: number;
  /** The source that serves this read, where that is decided only when it begins. @defaultValue the name of the source */
  readonly source?: SourceName | undefined;
  /**
   * The bytes from the resume point to its end, in order, in pieces of tens to hundreds of kilobytes.
   * A piece is valid until the next one is asked for: a reader that keeps it copies it.
   * Throws `BlobUnavailable` when it breaks off. Leaving the loop early cancels the read.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Something that holds blobs. */
export interface BlobSource {
  readonly name: SourceName;
  /**
   * Whether each piece is checked before it is given out, so that a part of the blob can be believed without the rest.
   * @defaultValue false
   */
  readonly isVerified?: boolean | undefined;
  /**
   * Begin to read `blob` at `from`; resolves when the size is known.
   *
   * @param signal - Ends the read, also after `open` resolved.
   * @throws BlobUnavailable when this source cannot serve the blob now: the next source may.
   */
  open(blob: BlobRef, from: ResumePoint, signal: AbortSignal): Promise<BlobRead>;
}

/** `inner`, opened by another function: the one place where a source is wrapped. */
export function withOpen(inner: BlobSource, open: BlobSource["open"]): BlobSource {
  return { name: inner.name, isVerified: inner.isVerified, open };
}

/** This source cannot continue with this blob: try the next one. */
export class BlobUnavailable extends Error {
  override readonly name = "BlobUnavailable";
}

/** This source has answered that it does not have the blob: nothing is wrong with the path to it. */
export class BlobUnknown extends BlobUnavailable {}

/** What this source sent cannot be the blob: never use its bytes, and keep away from it for this digest. */
export class BlobCorrupt extends Error {
  override readonly name = "BlobCorrupt";
}

/** Nothing has been read yet. */
export const fromStart: ResumePoint = { offset: 0, prefixSha256: () => hashOf(emptyDigest) };
