/**
 * Data of segmented objects: writing segments and metadata (NDN RDR protocol) for a producer, reading them at a consumer.
 */
import { type Name, segment } from "./name.ts";
import type { PacketView } from "./packet-view.ts";
import * as structure from "./structure.ts";
import {
  encodeNni,
  nniBytes,
  readElements,
  readNni,
  readVarNumber,
  sizeofVarNumber,
  TT,
  tlv,
  varNumberBytes,
  writeVarNumber,
} from "./tlv.ts";

/** ContentType numbers used here (NDN packet specification § ContentType). */
export const contentTypes = { Blob: 0, Nack: 3, Manifest: 4 } as const;

/** SignatureInfo of type Null and an empty SignatureValue: integrity comes from the digest list and the blob's digest. */
const nullSignature = Buffer.from("16031b01c81700", "hex");

/**
 * Writes the segments of one object: `Name MetaInfo Content NullSignature`, the same bytes from every producer.
 *
 * Hot path: MetaInfo, Content header of a full segment and signature are encoded once per object; a segment costs
 * one copy of its payload (`npm run bench`, row "server, ndnd, client").
 */
export class SegmentDataEncoder {
  readonly #prefix: Name;
  readonly #metaInfo: Buffer;

  /** @param lastSegment - Number of the last segment, announced in every FinalBlockId. */
  constructor(prefix: Name, lastSegment: number, freshnessMs: number) {
    this.#prefix = prefix;
    this.#metaInfo = tlv(
      TT.MetaInfo,
      tlv(TT.FreshnessPeriod, encodeNni(freshnessMs)),
      tlv(TT.FinalBlockId, segment(lastSegment)),
    );
  }

  /** Bytes of the packet for segment `n` with a payload of `payloadBytes`. */
  sizeof(n: number, payloadBytes: number): number {
    const length = this.#valueBytes(n, payloadBytes);
    return 1 + sizeofVarNumber(length) + length;
  }

  /** Write the packet at `at`; returns the offset behind it. The payload is `payload[start, end)`. */
  write(out: Buffer, at: number, n: number, payload: Buffer, start: number, end: number): number {
    const segmentBytes = nniBytes(n);
    let offset = writeVarNumber(out, this.#valueBytes(n, end - start), out.writeUInt8(TT.Data, at));
    offset = writeVarNumber(out, this.#prefix.length + 2 + segmentBytes, out.writeUInt8(TT.Name, offset));
    offset += this.#prefix.copy(out, offset);
    offset = out.writeUInt8(segmentBytes, out.writeUInt8(TT.SegmentNameComponent, offset));
    offset = out.writeUIntBE(n, offset, segmentBytes);
    offset += this.#metaInfo.copy(out, offset);
    offset = writeVarNumber(out, end - start, out.writeUInt8(TT.Content, offset));
    offset += payload.copy(out, offset, start, end);
    return offset + nullSignature.copy(out, offset);
  }

  #valueBytes(n: number, payloadBytes: number): number {
    const nameBytes = this.#prefix.length + 2 + nniBytes(n);
    const name = 1 + sizeofVarNumber(nameBytes) + nameBytes;
    return name + this.#metaInfo.length + 1 + sizeofVarNumber(payloadBytes) + payloadBytes + nullSignature.length;
  }
}

/**
 * What a consumer needs of a Data: where its Content lies. One object is filled again for every packet (hot path).
 */
export class DataFields {
  contentType = 0;
  contentStart = 0;
  contentEnd = 0;
  /** Where the FinalBlockId's component lies; equal when absent. */
  finalBlockStart = 0;
  finalBlockEnd = 0;

  /** Read the fields behind the Name; false when the packet is malformed (NDN packet specification § Data). */
  read(view: PacketView): boolean {
    this.contentType = 0;
    this.contentStart = this.contentEnd = 0;
    this.finalBlockStart = this.finalBlockEnd = 0;
    const { buf, end } = view;
    let at = view.nameEnd;
    let last = structure.namePlace;
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      if (type < 0) return false;
      at += varNumberBytes(buf, at);
      const length = readVarNumber(buf, at, end);
      if (length < 0) return false;
      at += varNumberBytes(buf, at);
      const place = at + length > end ? -1 : structure.data.placeOf(type, last);
      if (place < 0 || (place > 0 && !this.#readField(type, buf, at, at + length))) return false;
      if (place > 0) last = place;
      at += length;
    }
    return true;
  }

  #readField(type: number, buf: Buffer, start: number, end: number): boolean {
    if (type === TT.Content) {
      this.contentStart = start;
      this.contentEnd = end;
    } else if (type === TT.MetaInfo) return this.#readMetaInfo(buf, start, end);
    else if (type === TT.SignatureInfo) return structure.signatureInfo.admits(buf, start, end);
    return true;
  }

  #readMetaInfo(buf: Buffer, start: number, end: number): boolean {
    let at = start;
    let last = 0;
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      const length = type < 0 ? -1 : readVarNumber(buf, at + varNumberBytes(buf, at), end);
      if (length < 0) return false;
      at += varNumberBytes(buf, at);
      at += varNumberBytes(buf, at);
      const place = at + length > end ? -1 : structure.metaInfo.placeOf(type, last);
      if (place < 0) return false;
      if (place > 0) last = place;
      if (type === TT.ContentType) this.contentType = readNni(buf, at, at + length);
      else if (type === TT.FinalBlockId) {
        this.finalBlockStart = at;
        this.finalBlockEnd = at + length;
      }
      at += length;
    }
    return true;
  }
}

/** Bytes that the header takes at most, with a PIT token of the longest length that NDNLPv2 allows. */
export const maxLpHeaderBytes = 1 + 5 + 2 + 32 + 1 + 3;

/**
 * Write the header of an LpPacket around `fragmentBytes` bytes that the caller writes behind it.
 *
 * @param token - Buffer that holds the PIT token in `[tokenStart, tokenEnd)`; an empty one writes no header at all.
 * @returns the offset behind the header.
 */
export function writeLpHeader(
  out: Buffer,
  at: number,
  token: Buffer,
  tokenStart: number,
  tokenEnd: number,
  fragmentBytes: number,
): number {
  const tokenBytes = tokenEnd - tokenStart;
  if (tokenBytes === 0) return at;
  const length = 2 + tokenBytes + 1 + sizeofVarNumber(fragmentBytes) + fragmentBytes;
  let offset = writeVarNumber(out, length, out.writeUInt8(TT.LpPacket, at));
  offset = out.writeUInt8(tokenBytes, out.writeUInt8(TT.LpPitToken, offset));
  offset += token.copy(out, offset, tokenStart, tokenEnd);
  return writeVarNumber(out, fragmentBytes, out.writeUInt8(TT.LpFragment, offset));
}

/** RDR metadata, which one has to know before asking for segments; file fields as in NDNts and ndn6-file-server. */
const metadataFields = { SegmentSize: 0xf500, Size: 0xf502, Mode: 0xf504, Mtime: 0xf50c } as const;
/** A regular file that everyone may read, as `stat` says it. */
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
    tlv(metadataFields.SegmentSize, encodeNni(metadata.segmentBytes)),
    tlv(metadataFields.Size, encodeNni(metadata.sizeBytes)),
    tlv(metadataFields.Mode, encodeNni(modeReadOnlyFile)),
    tlv(metadataFields.Mtime, mtime),
  ]);
}

/** Read the Content of a metadata Data; undefined when a field is missing or malformed. Of repeated ones the first counts. */
export function decodeMetadata(content: Buffer): Metadata | undefined {
  let name: Name | undefined;
  let [lastSegment, segmentBytes, sizeBytes] = [-1, -1, -1];
  for (const { type, start, end } of readElements(content)?.reverse() ?? []) {
    if (type === TT.Name) name = Buffer.from(content.subarray(start, end));
    else if (type === TT.FinalBlockId) lastSegment = segmentNumber(content, start, end);
    else if (type === metadataFields.SegmentSize) segmentBytes = readNni(content, start, end);
    else if (type === metadataFields.Size) sizeBytes = readNni(content, start, end);
  }
  if (name === undefined || lastSegment < 0 || segmentBytes < 0 || sizeBytes < 0) return undefined;
  return { name, lastSegment, segmentBytes, sizeBytes };
}

/** The number in the segment component that `content[start, end)` begins with; -1 when it begins with none. */
function segmentNumber(content: Buffer, start: number, end: number): number {
  const first = readElements(content, start, end)?.[0];
  return first?.type === TT.SegmentNameComponent ? readNni(content, first.start, first.end) : -1;
}
