/**
 * Data that is signed: metadata, digest lists and negative answers, once per blob rather than once per segment; and
 * certificates (NDN packet specification § Data, § Signature).
 *
 * Reading is strict where leniency would let unsigned bytes in: each element at most once and in order, SignatureValue last.
 */
import { Data, Name as NdnName, SigInfo, type Signer } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { componentsOf, type Name } from "../packet/name.ts";
import { readElements, readNni, type TlvSpan, TT } from "../packet/tlv.ts";
import { readValidity, type Validity } from "./validity.ts";

const fields = {
  KeyLocator: 0x1c,
  SignatureNonce: 0x26,
  SignatureTime: 0x28,
  SignatureSeqNum: 0x2a,
  ValidityPeriod: 0xfd,
} as const;
const dataOrder: readonly number[] = [TT.Name, TT.MetaInfo, TT.Content, TT.SignatureInfo, TT.SignatureValue];
const signatureOrder: readonly number[] = [
  TT.SignatureType,
  fields.KeyLocator,
  fields.SignatureNonce,
  fields.SignatureTime,
  fields.SignatureSeqNum,
  fields.ValidityPeriod,
];

/** What SignatureInfo says. */
export interface SignatureInfo {
  readonly type: number;
  /** The KeyLocator's Name; undefined when there is none, or a KeyDigest instead. */
  readonly keyLocator: Name | undefined;
  /** SignatureTime in milliseconds since 1970. */
  readonly timeMs: number | undefined;
  /** Certificates only. */
  readonly validity: Validity | undefined;
}

/** A Data whose parts are slices of one wire encoding. */
export interface SignedData {
  readonly wire: Buffer;
  readonly name: Name;
  readonly contentType: number;
  readonly freshnessMs: number;
  readonly content: Buffer;
  readonly signature: SignatureInfo;
  /** From the Name to the SignatureInfo. */
  readonly signedPortion: Buffer;
  readonly signatureValue: Buffer;
}

/** Read the wire encoding of one Data, nothing around it; undefined when it is malformed. */
export function readSignedData(packet: Uint8Array): SignedData | undefined {
  const wire = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  const outer = readElements(wire);
  if (outer?.length !== 1 || outer[0]!.type !== TT.Data) return undefined;
  const [data] = outer as [TlvSpan];
  const found = readInOrder(wire, data.start, data.end, dataOrder);
  const name = found?.get(TT.Name);
  const info = found?.get(TT.SignatureInfo);
  const value = found?.get(TT.SignatureValue);
  if (found === undefined || !name || !info || value?.end !== data.end) return undefined;
  const meta = readMeta(wire, found.get(TT.MetaInfo));
  const signature = readSignatureInfo(wire, info);
  if (meta === undefined || signature === undefined || componentsOf(slice(wire, name)) === undefined) return undefined;
  return {
    wire,
    name: slice(wire, name),
    ...meta,
    content: slice(wire, found.get(TT.Content)),
    signature,
    signedPortion: wire.subarray(data.start, value.at),
    signatureValue: slice(wire, value),
  };
}

function slice(wire: Buffer, span: TlvSpan | undefined): Buffer {
  return span === undefined ? Buffer.alloc(0) : wire.subarray(span.start, span.end);
}

/** The known elements; undefined when one is repeated, out of order, or unknown and critical (§ TLV evolvability). */
function readInOrder(wire: Buffer, start: number, end: number, order: readonly number[]) {
  const elements = readElements(wire, start, end);
  if (elements === undefined) return undefined;
  const found = new Map<number, TlvSpan>();
  let last = -1;
  for (const element of elements) {
    const index = order.indexOf(element.type);
    if (index < 0 && isCritical(element.type)) return undefined;
    if (index < 0) continue;
    if (index <= last) return undefined;
    last = index;
    found.set(element.type, element);
  }
  return found;
}

function isCritical(type: number): boolean {
  return type <= 31 || type % 2 === 1;
}

function readMeta(wire: Buffer, span: TlvSpan | undefined) {
  if (span === undefined) return { contentType: 0, freshnessMs: 0 };
  const order = [TT.ContentType, TT.FreshnessPeriod, TT.FinalBlockId];
  const found = readInOrder(wire, span.start, span.end, order);
  const contentType = number(wire, found?.get(TT.ContentType), 0);
  const freshnessMs = number(wire, found?.get(TT.FreshnessPeriod), 0);
  return found === undefined || contentType < 0 || freshnessMs < 0 ? undefined : { contentType, freshnessMs };
}

function number(wire: Buffer, span: TlvSpan | undefined, absent: number): number {
  return span === undefined ? absent : readNni(wire, span.start, span.end);
}

function readSignatureInfo(wire: Buffer, span: TlvSpan): SignatureInfo | undefined {
  const found = readInOrder(wire, span.start, span.end, signatureOrder);
  const type = number(wire, found?.get(TT.SignatureType), -1);
  if (found === undefined || type < 0) return undefined;
  const locator = found.get(fields.KeyLocator);
  const time = found.get(fields.SignatureTime);
  const period = found.get(fields.ValidityPeriod);
  const validity = period && readValidity(wire, period);
  if (period !== undefined && validity === undefined) return undefined;
  const timeMs = time && readNni(wire, time.start, time.end);
  return { type, keyLocator: locator && readLocatorName(wire, locator), timeMs, validity };
}

function readLocatorName(wire: Buffer, locator: TlvSpan): Name | undefined {
  const elements = readElements(wire, locator.start, locator.end);
  const [only] = elements ?? [];
  if (elements?.length !== 1 || only!.type !== TT.Name) return undefined;
  const name = slice(wire, only);
  return componentsOf(name) === undefined ? undefined : name;
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
