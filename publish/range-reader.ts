/**
 * The port through which a server reads its own registry: any range of a blob, at any time.
 */

import type { BlobRef } from "#blob/source.ts";
import type { Body } from "#oci/body.ts";

/** A range on its way: the whole blob's size, and exactly the bytes asked for. */
export interface RangeRead {
  readonly sizeBytes: number;
  /** Bytes `[start, min(end, sizeBytes))`; the caller reads or cancels it. */
  readonly body: Body;
}

/** Where a server reads blobs from: the registry over HTTP, or its storage directory. */
export interface RangeReader {
  /**
   * Read `[start, end)` of a blob; `end` may lie beyond its end.
   *
   * @returns undefined when the registry says that there is no such blob in that repository, or that it is not public.
   * @throws Error when the registry cannot be read now; that is never remembered.
   */
  read(blob: BlobRef, start: number, end: number, signal: AbortSignal): Promise<RangeRead | undefined>;
}
