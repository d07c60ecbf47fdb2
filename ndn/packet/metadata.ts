/**
 * RDR metadata: what one has to know before asking for segments (NDN RDR protocol; file fields as in NDNts and ndn6-file-server).
 */
import { type Name, numberOf, segment } from "./name.ts";
import { encodeNni, readElements, readNni, type TlvSpan, TT, tlv } from "./tlv.ts";

const fields = { SegmentSize: 0xf500, Size: 0xf502, Mode: 0xf504, Mtime: 0xf50c } as const;
/** A regular file that everybody may read, as `stat` says it. */
const modeReadOnlyFile = 0o100444;
/** Content never changes under a content address, so its time is a constant: 2000-01-01 in nanoseconds. */
const mtimeNs = 946_684_800_000_000_000n;

/** What metadata says of one object. */
export interface Metadata {
  /** Versioned name under which the segments are. */
  readonly name: Name;
  readonly lastSegment: number;
  readonly segmentBytes: number;
  readonly sizeBytes: number;
}

/** The Content of a metadata Data. */
export function encodeMetadata(metadata: Metadata): Buffer {
  const mtime = Buffer.alloc(8);
  mtime.writeBigUInt64BE(mtimeNs);
  return Buffer.concat([
    tlv(TT.Name, metadata.name),
    tlv(TT.FinalBlockId, segment(metadata.lastSegment)),
    tlv(fields.SegmentSize, encodeNni(metadata.segmentBytes)),
    tlv(fields.Size, encodeNni(metadata.sizeBytes)),
    tlv(fields.Mode, encodeNni(modeReadOnlyFile)),
    tlv(fields.Mtime, mtime),
  ]);
}

/** Read the Content of a metadata Data; undefined when a field is missing or malformed. */
export function decodeMetadata(content: Buffer): Metadata | undefined {
  let name: Name | undefined;
  let [lastSegment, segmentBytes, sizeBytes] = [-1, -1, -1];
  for (const span of (readElements(content) ?? []).toReversed()) {
    const { type, start, end } = span; // backwards: of a repeated field the first one counts
    if (type === TT.Name) name = Buffer.from(content.subarray(start, end));
    else if (type === TT.FinalBlockId) lastSegment = finalBlockNumber(content, span);
    else if (type === fields.SegmentSize) segmentBytes = readNni(content, start, end);
    else if (type === fields.Size) sizeBytes = readNni(content, start, end);
  }
  if (name === undefined || lastSegment < 0 || segmentBytes < 0 || sizeBytes < 0) return undefined;
  return { name, lastSegment, segmentBytes, sizeBytes };
}

function finalBlockNumber(content: Buffer, span: TlvSpan): number {
  const inner = readElements(content, span.start, span.end);
  const last = inner?.[0];
  return last?.type === TT.SegmentNameComponent ? numberOf(content, last) : -1;
}
