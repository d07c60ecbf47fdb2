import type { SegmentRepair } from "#blob/ndn-source.ts";
import type { BlobSource } from "#blob/source.ts";

/** The NDN side of one registry as the puller's endpoint sees it. */
export interface NdnBlobs {
  /**
   * Where blobs may be read over NDN; undefined when no face is up, so that nobody waits for one.
   *
   * @param repair - Where a segment comes from that nobody on NDN has right.
   */
  source(repair?: SegmentRepair): BlobSource | undefined;
}
