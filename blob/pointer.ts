/**
 * The Content of a pointer (PROTOCOL.md § Pointers): the metadata of an object, what it is, and how far the word of the
 * server goes. Numbers, types and the digest of what is inline are checked here; who signed it is not.
 */
import { hash } from "node:crypto";
import { decodeMetadata, encodeMetadata } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import { encodeNni, readElements, readNni, TT, tlv } from "#ndn/packet/tlv.ts";
import { isMediaType } from "#oci/media-type.ts";
import { type Digest, hashOf } from "#oci/reference.ts";
import { componentsUnder, digestOf, lastSegmentOf, objectName, type SegmentSize, segmentSizes } from "./names.ts";
import { isServerName } from "./pointer-names.ts";

export { maxManifestBytes } from "#oci/manifest-reader.ts";

/** TLV-TYPEs of what a pointer has beside metadata: even, so that those who do not know them ignore them. */
export const pointerFields = {
  MediaType: 0xf600,
  MaxAge: 0xf602,
  AsOf: 0xf604,
  ForwardingHint: 0xf606,
  Inline: 0xf608,
} as const;

/** A snapshot is no larger. */
export const maxSnapshotBytes = 16 * 1024 * 1024;

/** What a pointer points at, and what is known of it. */
export interface Pointer {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Segment size that the server proposes. */
  readonly segmentBytes: SegmentSize;
  /** As in Content-Type; at most 255 printable ASCII characters. */
  readonly mediaType: string;
  /** How long the server's word may be relied on after `asOfMs`. */
  readonly maxAgeMs: number;
  /** When the registry was asked, by the server's clock, in milliseconds since 1970. */
  readonly asOfMs: number;
  /** ForwardingHint for the segments: of what only one server has made. Else they are read by that of the repository. */
  readonly hint?: Name | undefined;
  /** The object itself, which hashes to its digest. */
  readonly inline?: Buffer | undefined;
}

/** The Content of a pointer. */
export function encodePointer(prefix: Name, pointer: Pointer): Buffer {
  const { digest, sizeBytes, segmentBytes, mediaType, maxAgeMs, asOfMs, hint, inline } = pointer;
  const name = objectName(prefix, digest, segmentBytes);
  const lastSegment = lastSegmentOf(sizeBytes, segmentBytes);
  return Buffer.concat([
    encodeMetadata({ name, lastSegment, segmentBytes, sizeBytes }),
    tlv(pointerFields.MediaType, Buffer.from(mediaType)),
    tlv(pointerFields.MaxAge, encodeNni(maxAgeMs)),
    tlv(pointerFields.AsOf, encodeNni(asOfMs)),
    ...(hint ? [tlv(pointerFields.ForwardingHint, tlv(TT.Name, hint))] : []),
    ...(inline ? [tlv(pointerFields.Inline, inline)] : []),
  ]);
}

/** Read the Content of a pointer; undefined when it breaks any rule of the wire contract. */
export function decodePointer(prefix: Name, content: Buffer): Pointer | undefined {
  const metadata = decodeMetadata(content);
  const object = metadata && objectIn(prefix, metadata.name);
  const fields = metadata && readFields(content);
  if (!object || !fields) return undefined;
  const { lastSegment, segmentBytes, sizeBytes } = metadata;
  if (segmentBytes !== object.segmentBytes || lastSegment !== lastSegmentOf(sizeBytes, segmentBytes)) return undefined;
  const { mediaType, maxAgeMs, asOfMs, hint, inline } = fields;
  if (!isMediaType(mediaType) || maxAgeMs < 0 || asOfMs < 0) return undefined;
  if (hint && !isServerName(prefix, hint)) return undefined;
  if (inline && (inline.length !== sizeBytes || !hash("sha256", inline, "buffer").equals(hashOf(object.digest))))
    return undefined;
  return { ...object, sizeBytes, ...fields };
}

/** `P/D/54=v` with an allowed chunk size. */
function objectIn(prefix: Name, name: Name): { digest: Digest; segmentBytes: SegmentSize } | undefined {
  const first = componentsUnder(prefix, name)?.[0];
  const digest = first && digestOf(name, first);
  if (digest === undefined) return undefined;
  const segmentBytes = segmentSizes.find((size) => name.equals(objectName(prefix, digest, size)));
  return segmentBytes && { digest, segmentBytes };
}

/** Of repeated fields the first counts. */
function readFields(content: Buffer) {
  let [mediaType, maxAgeMs, asOfMs] = ["", -1, -1];
  let hint: Name | undefined;
  let inline: Buffer | undefined;
  for (const { type, start, end } of readElements(content)!.reverse()) {
    if (type === pointerFields.MediaType) mediaType = content.toString("latin1", start, end);
    else if (type === pointerFields.MaxAge) maxAgeMs = readNni(content, start, end);
    else if (type === pointerFields.AsOf) asOfMs = readNni(content, start, end);
    else if (type === pointerFields.ForwardingHint) {
      const name = readElements(content, start, end)?.[0];
      if (name?.type !== TT.Name) return undefined;
      hint = Buffer.from(content.subarray(name.start, name.end));
    } else if (type === pointerFields.Inline) inline = Buffer.from(content.subarray(start, end));
  }
  return { mediaType, maxAgeMs, asOfMs, ...(hint && { hint }), ...(inline && { inline }) };
}
