/**
 * Objects that are known before they are asked for: what a pointer names (PROTOCOL.md § Pointers).
 */
import type { Name } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import type { SegmentSize } from "./names.ts";
import type { BlobRef } from "./source.ts";

/** Its digest and sizes, and who has it. */
export interface NamedObject {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly segmentBytes: SegmentSize;
  /** Where it may be read; of what is in no repository there is a hint. */
  readonly repository?: string | undefined;
  /** ForwardingHint of its Interests, where that is not the repository's: the server that has made it. */
  readonly hint?: Name | undefined;
}

/** A blob, and who is asked for it, where that is not whoever has its repository. */
export interface HintedBlob extends BlobRef {
  readonly hint?: Name | undefined;
}
