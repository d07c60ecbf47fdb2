/**
 * Interests: reading those that arrive, and writing many for the segments of one object.
 */
import { hash, randomFillSync } from "node:crypto";
import { component, componentsOf, joinName, type Name } from "./name.ts";
import type { PacketView } from "./packet-view.ts";
import { encodeNni, readElements, type TlvSpan, TT, tlv } from "./tlv.ts";

/** Milliseconds that our Interests stay pending in forwarders; independent of the retransmission timeout. */
export const interestLifetimeMs = 4000;

/** What a producer needs to know of an Interest besides its Name. */
export interface InterestFields {
  readonly canBePrefix: boolean;
  readonly mustBeFresh: boolean;
  /** Names of the ForwardingHint, copied out of the receive buffer; empty when there is none. */
  readonly forwardingHint: readonly Name[];
  /** The ApplicationParameters element and all that follows it: what a ParametersSha256Digest is the digest of. */
  readonly parameters?: Buffer | undefined;
}

/** The fields behind the Name; undefined when the packet is malformed (NDN packet specification § Interest). */
export function readInterest({ buf, nameEnd, end }: PacketView): InterestFields | undefined {
  const elements = readElements(buf, nameEnd, end);
  if (elements === undefined) return undefined;
  let canBePrefix = false;
  let mustBeFresh = false;
  let parameters: Buffer | undefined;
  const forwardingHint: Name[] = [];
  for (const element of elements) {
    if (element.type === TT.CanBePrefix) canBePrefix = true;
    else if (element.type === TT.MustBeFresh) mustBeFresh = true;
    else if (element.type === TT.ApplicationParameters) parameters ??= Buffer.from(buf.subarray(element.at, end));
    else if (element.type === TT.ForwardingHint && !readHint(buf, element, forwardingHint)) return undefined;
  }
  return { canBePrefix, mustBeFresh, forwardingHint, parameters };
}

/** Copy the names of a ForwardingHint; false when it is malformed. */
function readHint(buf: Buffer, hint: TlvSpan, names: Name[]): boolean {
  const elements = readElements(buf, hint.start, hint.end);
  for (const { type, start, end } of elements ?? []) {
    if (type === TT.Name) names.push(Buffer.from(buf.subarray(start, end)));
  }
  return elements !== undefined;
}

/** Whether a name ends in the digest of these ApplicationParameters (NDN packet specification § ParametersSha256DigestComponent). */
export function endsInParametersDigest(name: Name, { parameters }: InterestFields): boolean {
  const last = componentsOf(name)?.at(-1);
  if (parameters === undefined || last?.type !== TT.ParametersSha256DigestComponent) return false;
  return hash("sha256", parameters, "buffer").equals(name.subarray(last.start, last.end));
}

/**
 * Writes the Interests of one object: same name but for the segment number, same hint, a fresh Nonce each time.
 *
 * Hot path: each of the three sizes of segment number has a ready packet that is copied and patched in two places,
 * instead of being encoded field by field (`npm run bench`, row "server, ndnd, client").
 */
export class SegmentInterestTemplate {
  readonly #bySize: ReadonlyMap<number, { packet: Buffer; segmentAt: number; nonceAt: number }>;

  /** @param forwardingHint - Delegation name, or none. */
  constructor(prefix: Name, forwardingHint?: Name) {
    this.#bySize = new Map([1, 2, 4].map((size) => [size, buildTemplate(prefix, forwardingHint, size)]));
  }

  /** Largest number of bytes that `write` needs. */
  get maxBytes(): number {
    return this.#bySize.get(4)!.packet.length;
  }

  /** Write the Interest for segment `n` at `offset` of `out`; returns the offset behind it. */
  write(out: Buffer, offset: number, n: number): number {
    const size = n <= 0xff ? 1 : n <= 0xffff ? 2 : 4;
    const { packet, segmentAt, nonceAt } = this.#bySize.get(size)!;
    packet.copy(out, offset);
    out.writeUIntBE(n, offset + segmentAt, size);
    out.writeUInt32BE(nextNonce(), offset + nonceAt);
    return offset + packet.length;
  }
}

function buildTemplate(prefix: Name, hint: Name | undefined, size: number) {
  const segment = tlv(TT.SegmentNameComponent, Buffer.alloc(size));
  const name = tlv(TT.Name, prefix, segment);
  const fields = [name];
  if (hint) fields.push(tlv(TT.ForwardingHint, tlv(TT.Name, hint)));
  const beforeNonce = fields.reduce((sum, field) => sum + field.length, 0);
  fields.push(tlv(TT.Nonce, Buffer.alloc(4)), tlv(TT.InterestLifetime, encodeNni(interestLifetimeMs)));
  const packet = tlv(TT.Interest, ...fields);
  const header = packet.length - fields.reduce((sum, field) => sum + field.length, 0);
  return { packet, segmentAt: header + name.length - size, nonceAt: header + beforeNonce + 2 };
}

/** `name`, made that of an Interest with these ApplicationParameters (an element, type and length included). */
export function nameOfParameters(name: Name, parameters: Uint8Array): Name {
  return joinName(name, component(TT.ParametersSha256DigestComponent, hash("sha256", parameters, "buffer")));
}

/** What one Interest says besides its Name. */
interface InterestOptions {
  /** @defaultValue false */
  readonly canBePrefix?: boolean;
  /** @defaultValue false */
  readonly mustBeFresh?: boolean;
  readonly forwardingHint?: Name;
  /** @defaultValue `interestLifetimeMs` */
  readonly lifetimeMs?: number;
  /** The ApplicationParameters element; the name has to end in its digest (`nameOfParameters`). */
  readonly parameters?: Uint8Array;
}

/** Write one Interest with any flags; for what is asked once per blob. */
export function encodeInterest(name: Name, options: InterestOptions = {}): Buffer {
  const nonce = Buffer.alloc(4);
  nonce.writeUInt32BE(nextNonce());
  return tlv(
    TT.Interest,
    tlv(TT.Name, name),
    options.canBePrefix ? tlv(TT.CanBePrefix) : empty,
    options.mustBeFresh ? tlv(TT.MustBeFresh) : empty,
    options.forwardingHint ? tlv(TT.ForwardingHint, tlv(TT.Name, options.forwardingHint)) : empty,
    tlv(TT.Nonce, nonce),
    tlv(TT.InterestLifetime, encodeNni(options.lifetimeMs ?? interestLifetimeMs)),
    options.parameters ?? empty,
  );
}

const empty = Buffer.alloc(0);
const nonces = Buffer.alloc(4096);
let nonceAt = nonces.length;

/** Random numbers are drawn a thousand at a time: one call into the system per 1024 Interests. */
function nextNonce(): number {
  if (nonceAt === nonces.length) {
    randomFillSync(nonces);
    nonceAt = 0;
  }
  nonceAt += 4;
  return nonces.readUInt32BE(nonceAt - 4);
}
