/**
 * TLV, the encoding of everything in NDN: a type number, a length number, that many bytes (NDN packet specification § TLV).
 * These primitives are synchronous and allocate nothing on reading, because every packet passes through them.
 */

/** TLV-TYPE numbers used here (NDN packet specification § Types; NDNLPv2; NDN RDR). */
export const TT = {
  ImplicitSha256DigestComponent: 0x01,
  ParametersSha256DigestComponent: 0x02,
  Interest: 0x05,
  Data: 0x06,
  Name: 0x07,
  GenericNameComponent: 0x08,
  Nonce: 0x0a,
  InterestLifetime: 0x0c,
  MustBeFresh: 0x12,
  MetaInfo: 0x14,
  Content: 0x15,
  SignatureInfo: 0x16,
  SignatureValue: 0x17,
  ContentType: 0x18,
  FreshnessPeriod: 0x19,
  FinalBlockId: 0x1a,
  SignatureType: 0x1b,
  KeyLocator: 0x1c,
  KeyDigest: 0x1d,
  ForwardingHint: 0x1e,
  KeywordNameComponent: 0x20,
  CanBePrefix: 0x21,
  HopLimit: 0x22,
  ApplicationParameters: 0x24,
  SignatureNonce: 0x26,
  SignatureTime: 0x28,
  SignatureSeqNum: 0x2a,
  InterestSignatureInfo: 0x2c,
  InterestSignatureValue: 0x2e,
  SegmentNameComponent: 0x32,
  VersionNameComponent: 0x36,
  LpFragment: 0x50,
  LpSequence: 0x51,
  LpFragIndex: 0x52,
  LpFragCount: 0x53,
  LpPitToken: 0x62,
  LpPacket: 0x64,
  ValidityPeriod: 0xfd,
  NotBefore: 0xfe,
  NotAfter: 0xff,
  Nack: 0x0320,
  CongestionMark: 0x0340,
} as const;

/** Network-layer packets larger than this never leave a forwarder (NDN packet specification: 8800 bytes). */
export const maxPacketBytes = 8800;
/** The same with a link-layer header around it: PIT token, congestion mark and whatever NDNLPv2 will add. */
export const maxLinkPacketBytes = maxPacketBytes + 512;

/** Bytes that the variable-length number at `offset` occupies (1, 3, 5 or 9), judged by its first byte. */
export function varNumberBytes(buf: Uint8Array, offset: number): number {
  const first = buf[offset]!;
  return first < 0xfd ? 1 : first === 0xfd ? 3 : first === 0xfe ? 5 : 9;
}

/** The variable-length number at `offset`; -1 when it is cut off at `end` or does not fit 32 bits. */
export function readVarNumber(buf: Uint8Array, offset: number, end: number): number {
  if (offset >= end) return -1;
  const first = buf[offset]!;
  if (first < 0xfd) return first;
  if (first === 0xfd) return offset + 3 > end ? -1 : buf[offset + 1]! * 256 + buf[offset + 2]!;
  if (first === 0xff || offset + 5 > end) return -1;
  return buf[offset + 1]! * 0x1000000 + buf[offset + 2]! * 0x10000 + buf[offset + 3]! * 256 + buf[offset + 4]!;
}

/** Bytes needed to write `n` as a variable-length number. */
export function sizeofVarNumber(n: number): number {
  return n < 0xfd ? 1 : n <= 0xffff ? 3 : 5;
}

/** Write `n` as a variable-length number; returns the offset behind it. */
export function writeVarNumber(buf: Buffer, n: number, offset: number): number {
  if (n < 0xfd) return buf.writeUInt8(n, offset);
  if (n <= 0xffff) return buf.writeUInt16BE(n, buf.writeUInt8(0xfd, offset));
  return buf.writeUInt32BE(n, buf.writeUInt8(0xfe, offset));
}

/** A NonNegativeInteger in its shortest form: 1, 2, 4 or 8 bytes. */
export function encodeNni(n: number): Buffer {
  if (n <= 0xff) return Buffer.of(n);
  const size = n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8;
  const buf = Buffer.alloc(size);
  if (size === 8) buf.writeBigUInt64BE(BigInt(n));
  else buf.writeUIntBE(n, 0, size);
  return buf;
}

/** Bytes of a number up to 2^32 in its shortest form. */
export function nniBytes(n: number): number {
  return n <= 0xff ? 1 : n <= 0xffff ? 2 : 4;
}

/** The NonNegativeInteger in `buf[start, end)`; -1 when its length is not 1, 2, 4 or 8 or it exceeds 2^53. */
export function readNni(buf: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return -1;
  let n = 0;
  for (let i = start; i < end; i++) n = n * 256 + buf[i]!;
  return n <= Number.MAX_SAFE_INTEGER ? n : -1;
}

/** One TLV element around `parts`. */
export function tlv(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const header = Buffer.alloc(sizeofVarNumber(type) + sizeofVarNumber(length));
  writeVarNumber(header, length, writeVarNumber(header, type, 0));
  return Buffer.concat([header, ...parts]);
}

/** One TLV element inside another: `[start, end)` is its value within the same buffer. */
export interface TlvSpan {
  readonly type: number;
  /** Where its type number begins. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** The elements in `buf[start, end)`; undefined when they do not fill it exactly. */
export function readElements(buf: Uint8Array, start = 0, end = buf.length): TlvSpan[] | undefined {
  const elements: TlvSpan[] = [];
  let at = start;
  while (at < end) {
    const type = readVarNumber(buf, at, end);
    const lengthAt = at + (type < 0 ? 0 : varNumberBytes(buf, at));
    const length = type < 0 ? -1 : readVarNumber(buf, lengthAt, end);
    if (length < 0) return undefined;
    const valueAt = lengthAt + varNumberBytes(buf, lengthAt);
    if (valueAt + length > end) return undefined;
    elements.push({ type, at, start: valueAt, end: valueAt + length });
    at = valueAt + length;
  }
  return elements;
}
