/**
 * The ports of a publication: what may be published, and where it is read, any range of a blob at any time.
 */

import type { BlobRef } from "#blob/source.ts";
import type { Body } from "#oci/direct-get.ts";

/** A range on its way: the whole blob's size, and exactly the bytes asked for. */
export interface RangeRead {
  readonly sizeBytes: number;
  /** Bytes `[start, min(end, sizeBytes))`; the caller reads or cancels it. */
  readonly body: Body;
}

/** Which repositories go onto NDN; the program decides. What is there can be fetched and cached by everyone. */
export interface PublishPolicy {
  /** Whether blobs of this repository may be asked for at all; decided by its name alone, before any I/O. */
  allows(repository: string): boolean;
}

/** How long it counts that there is a blob and that everyone may read it; then the registry is asked again. */
export const revalidateAfterMs = 5 * 60_000;

/** What the registry sends cannot be published as it is; to ask it again would not help. */
export class NotPublishable extends Error {
  override readonly name = "NotPublishable";
}

/** Where a server reads blobs from: the registry over HTTP, or its storage directory. */
export interface RangeReader {
  /**
   * Read `[start, end)` of a blob; `end` may lie beyond its end.
   *
   * @returns undefined when the registry says that there is no such blob in that repository, or that it is not public.
   * @throws NotPublishable
   * @throws Error when the registry cannot be read now; that is never remembered.
   */
  read(blob: BlobRef, start: number, end: number, signal: AbortSignal): Promise<RangeRead | undefined>;
}
