import type { BlobSource } from "#blob/source.ts";

/** The NDN side as the puller's endpoint sees it. */
export interface NdnBlobs {
  /** Where blobs may be read over NDN; undefined when no face is up, so that nobody waits for one. */
  source(): BlobSource | undefined;
}
