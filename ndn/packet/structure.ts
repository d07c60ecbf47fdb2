/**
 * What packets consist of, and what becomes of the rest: an element that is unknown, in the wrong place or there again is
 * ignored, unless its type is critical; then its packet is invalid (NDN packet specification § Considerations for
 * Evolvability of TLV-Based Encoding; NDNLPv2 § General NDNLPv2 Packet Format).
 *
 * Hot path: every packet passes through here, and nothing is allocated.
 */
import { readElements, readVarNumber, type TlvSpan, TT, varNumberBytes } from "./tlv.ts";

/** The elements that one part of a packet may have, in their order. */
export class Structure {
  /** Place of each type, from 1; 0 for those that are not known. All known types are below 1024. */
  readonly #places = new Uint8Array(1024);
  readonly #inner: (Structure | undefined)[] = [undefined];
  readonly #isList: boolean;
  readonly #isCritical: (type: number) => boolean;

  /**
   * @param elements - Types, with what is inside them where that is known as well.
   * @param options - `isList`: the only element may be repeated, default false.
   */
  constructor(
    elements: readonly (number | readonly [type: number, inner: Structure])[],
    options: { isList?: boolean; isCritical?: (type: number) => boolean } = {},
  ) {
    this.#isList = options.isList ?? false;
    this.#isCritical = options.isCritical ?? isCritical;
    for (const element of elements) {
      const [type, inner] = typeof element === "number" ? [element] : element;
      this.#places[type] = this.#inner.push(inner) - 1;
    }
  }

  /**
   * Where an element goes.
   *
   * @param last - Place of the known element before it; 0 when there is none.
   * @returns its place, which is above `last`; 0 when it is to be ignored, -1 when it makes the packet invalid.
   */
  placeOf(type: number, last: number): number {
    const place = type < this.#places.length ? this.#places[type]! : 0;
    if (place > last || (this.#isList && place > 0)) return place;
    return this.#isCritical(type) ? -1 : 0;
  }

  /** Whether `buf[start, end)`, behind an element at place `last`, is valid at every depth. */
  admits(buf: Uint8Array, start: number, end: number, last = 0): boolean {
    let at = start;
    let lastPlace = last;
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      if (type < 0) return false;
      at += varNumberBytes(buf, at);
      const length = readVarNumber(buf, at, end);
      if (length < 0) return false;
      at += varNumberBytes(buf, at);
      const place = at + length > end ? -1 : this.placeOf(type, lastPlace);
      if (place < 0) return false;
      if (place > 0) {
        lastPlace = place;
        const inner = this.#inner[place];
        if (inner !== undefined && !inner.admits(buf, at, at + length)) return false;
      }
      at += length;
    }
    return true;
  }

  /** The known elements in `buf[start, end)` by type, for what is not read per packet; undefined when it is invalid. */
  read(buf: Uint8Array, start: number, end: number): Map<number, TlvSpan> | undefined {
    if (!this.admits(buf, start, end)) return undefined;
    const found = new Map<number, TlvSpan>();
    let last = 0;
    for (const element of readElements(buf, start, end)!) {
      const place = this.placeOf(element.type, last);
      if (place <= 0) continue;
      last = place;
      found.set(element.type, element);
    }
    return found;
  }
}

function isCritical(type: number): boolean {
  return type <= 31 || type % 2 === 1;
}

/** Of a link-layer header. */
function isCriticalField(type: number): boolean {
  return type < 800 || type > 959 || type % 4 !== 0;
}

/** NDN certificate format v2 § ValidityPeriod. */
export const validityPeriod: Structure = new Structure([TT.NotBefore, TT.NotAfter]);

/** A Name or a KeyDigest. */
export const keyLocator: Structure = new Structure([TT.Name, TT.KeyDigest]);

/** Of Data, certificates and Interests. */
export const signatureInfo: Structure = new Structure([
  TT.SignatureType,
  [TT.KeyLocator, keyLocator],
  TT.SignatureNonce,
  TT.SignatureTime,
  TT.SignatureSeqNum,
  [TT.ValidityPeriod, validityPeriod],
]);

/** What a Data says of its Content. */
export const metaInfo: Structure = new Structure([TT.ContentType, TT.FreshnessPeriod, TT.FinalBlockId]);

/** The value of a Data. */
export const data: Structure = new Structure([
  TT.Name,
  [TT.MetaInfo, metaInfo],
  TT.Content,
  [TT.SignatureInfo, signatureInfo],
  TT.SignatureValue,
]);

/** Names of delegations. */
export const forwardingHint: Structure = new Structure([TT.Name], { isList: true });

/** The value of an Interest. */
export const interest: Structure = new Structure([
  TT.Name,
  TT.CanBePrefix,
  TT.MustBeFresh,
  [TT.ForwardingHint, forwardingHint],
  TT.Nonce,
  TT.InterestLifetime,
  TT.HopLimit,
  TT.ApplicationParameters,
  [TT.InterestSignatureInfo, signatureInfo],
  TT.InterestSignatureValue,
]);

/** The value of an LpPacket. */
export const lpPacket: Structure = new Structure(
  [TT.LpSequence, TT.LpFragIndex, TT.LpFragCount, TT.LpPitToken, TT.Nack, TT.CongestionMark, TT.LpFragment],
  { isCritical: isCriticalField },
);

/** Place of the Name in an Interest and in a Data. */
export const namePlace = 1;
