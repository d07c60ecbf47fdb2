/**
 * Metadata of blobs as consumers read it (PROTOCOL.md § Metadata, § What a consumer checks).
 */
import { decodeMetadata, type Metadata } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import { lastSegmentOf, objectName, type SegmentSize, segmentSizes, smallSegmentBytes } from "./names.ts";

/** What metadata says of one blob. */
export interface BlobMetadata extends Metadata {
  readonly segmentBytes: SegmentSize;
}

/** Read the Content of metadata; undefined unless it is what the wire contract makes of this digest and a size. */
export function decodeBlobMetadata(prefix: Name, digest: Digest, content: Buffer): BlobMetadata | undefined {
  const metadata = decodeMetadata(content);
  const segmentBytes = segmentSizes.find((size) => size === metadata?.segmentBytes);
  if (!metadata || !segmentBytes) return undefined;
  const { name, sizeBytes, lastSegment } = metadata;
  if (!name.equals(objectName(prefix, digest, segmentBytes))) return undefined;
  return lastSegment === lastSegmentOf(sizeBytes, segmentBytes) ? { ...metadata, segmentBytes } : undefined;
}

/** The same blob in the smallest segments: every server has all sizes (PROTOCOL.md § Notation). */
export function inSmallSegments({ sizeBytes }: BlobMetadata, prefix: Name, digest: Digest): BlobMetadata {
  const [segmentBytes, lastSegment] = [smallSegmentBytes, lastSegmentOf(sizeBytes, smallSegmentBytes)];
  return { name: objectName(prefix, digest, segmentBytes), segmentBytes, sizeBytes, lastSegment };
}
