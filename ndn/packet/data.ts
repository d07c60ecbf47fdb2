/**
 * Data of segmented objects: writing segments for a producer, reading those that arrive at a consumer.
 */

import { Data, Name as NdnName, SigInfo, type Signer } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { type Name, segment } from "./name.ts";
import type { PacketView } from "./packet-view.ts";
import {
  encodeNni,
  nniBytes,
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
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      if (type < 0) return false;
      at += varNumberBytes(buf, at);
      const length = readVarNumber(buf, at, end);
      if (length < 0) return false;
      at += varNumberBytes(buf, at);
      if (at + length > end) return false;
      if (type === TT.Content) {
        this.contentStart = at;
        this.contentEnd = at + length;
      } else if (type === TT.MetaInfo) this.#readMetaInfo(buf, at, at + length);
      at += length;
    }
    return true;
  }

  #readMetaInfo(buf: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      const length = type < 0 ? -1 : readVarNumber(buf, at + varNumberBytes(buf, at), end);
      if (length < 0) return;
      at += varNumberBytes(buf, at);
      at += varNumberBytes(buf, at);
      if (at + length > end) return;
      if (type === TT.ContentType) this.contentType = readNni(buf, at, at + length);
      else if (type === TT.FinalBlockId) {
        this.finalBlockStart = at;
        this.finalBlockEnd = at + length;
      }
      at += length;
    }
  }
}

/** Encode and sign a Data with SignatureTime; freshness in milliseconds. */
export async function encodeSignedData(
  name: Name,
  options: { contentType: number; freshnessMs: number; content: Uint8Array; finalBlockIsLast?: boolean },
  signer: Signer,
): Promise<Buffer> {
  const data = new Data(
    new NdnName(name),
    Data.ContentType(options.contentType),
    Data.FreshnessPeriod(options.freshnessMs),
    options.content,
  );
  if (options.finalBlockIsLast) data.isFinalBlock = true;
  data.sigInfo = new SigInfo(SigInfo.Time());
  await signer.sign(data);
  return Buffer.from(Encoder.encode(data));
}
