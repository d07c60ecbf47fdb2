import type { SegmentRepair } from "#blob/ndn-source.ts";
import type { BlobSource } from "#blob/source.ts";

/** The NDN side of one registry as the puller's endpoint sees it. */
export interface NdnBlobs {
  /**
   * Where one blob may be read over NDN; nowhere when no face is up, so that nobody waits for one.
   *
   * @param repair - Where a segment comes from that nobody on NDN has right.
   */
  paths(repair?: SegmentRepair): NdnPaths;
}

/** The paths of one blob. */
export interface NdnPaths {
  /** Best first, two at most: the second one takes over what the first one leaves. */
  readonly first: readonly BlobSource[];
  /** Where to ask once more when nothing else is left: not even a path that crawls is left then. */
  readonly lastResort: BlobSource | undefined;
}
