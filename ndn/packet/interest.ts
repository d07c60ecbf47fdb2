/**
 * Interests: reading those that arrive, and writing many for the segments of one object.
 */
import { hash, randomFillSync } from "node:crypto";
import { componentsOf, joinName, type Name } from "./name.ts";
import type { PacketView } from "./packet-view.ts";
import * as structure from "./structure.ts";
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
export function readInterest(view: PacketView): InterestFields | undefined {
  const { buf, nameEnd, end } = view;
  const found = structure.interest.read(buf, nameEnd, end); // behind the Name, which a view has read
  if (found === undefined) return undefined;
  const parameters = found.get(TT.ApplicationParameters);
  return {
    canBePrefix: found.has(TT.CanBePrefix),
    mustBeFresh: found.has(TT.MustBeFresh),
    forwardingHint: namesIn(buf, found.get(TT.ForwardingHint)),
    parameters: parameters && Buffer.from(buf.subarray(parameters.at, end)),
  };
}

/** Copies of the names in an element that is valid. */
function namesIn(buf: Buffer, list: TlvSpan | undefined): Name[] {
  const names: Name[] = [];
  for (const { type, start, end } of (list && readElements(buf, list.start, list.end)) ?? []) {
    if (type === TT.Name) names.push(Buffer.from(buf.subarray(start, end)));
  }
  return names;
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
  /** Largest number of bytes that `write` needs. */
  readonly maxBytes: number;
  readonly #oneByte: Template;
  readonly #twoBytes: Template;
  readonly #fourBytes: Template;

  /** @param forwardingHint - Delegation name, or none. */
  constructor(prefix: Name, forwardingHint?: Name) {
    this.#oneByte = buildTemplate(prefix, forwardingHint, 1);
    this.#twoBytes = buildTemplate(prefix, forwardingHint, 2);
    this.#fourBytes = buildTemplate(prefix, forwardingHint, 4);
    this.maxBytes = this.#fourBytes.packet.length;
  }

  /** Write the Interest for segment `n` at `offset` of `out`; returns the offset behind it. */
  write(out: Buffer, offset: number, n: number): number {
    const template = n <= 0xff ? this.#oneByte : n <= 0xffff ? this.#twoBytes : this.#fourBytes;
    const { packet, segmentAt, segmentBytes, nonceAt } = template;
    packet.copy(out, offset);
    out.writeUIntBE(n, offset + segmentAt, segmentBytes);
    out.writeUInt32BE(nextNonce(), offset + nonceAt);
    return offset + packet.length;
  }
}

/** An Interest, and where its segment number and its Nonce lie. */
interface Template {
  readonly packet: Buffer;
  readonly segmentAt: number;
  readonly segmentBytes: number;
  readonly nonceAt: number;
}

function buildTemplate(prefix: Name, hint: Name | undefined, segmentBytes: number): Template {
  const name = tlv(TT.Name, prefix, tlv(TT.SegmentNameComponent, Buffer.alloc(segmentBytes)));
  const delegation = hint ? tlv(TT.ForwardingHint, tlv(TT.Name, hint)) : empty;
  const rest = Buffer.concat([tlv(TT.Nonce, Buffer.alloc(4)), tlv(TT.InterestLifetime, encodeNni(interestLifetimeMs))]);
  const packet = tlv(TT.Interest, name, delegation, rest);
  const restAt = packet.length - rest.length;
  const segmentAt = restAt - delegation.length - segmentBytes;
  return { packet, segmentAt, segmentBytes, nonceAt: restAt + 2 };
}

/** `name`, made that of an Interest with these ApplicationParameters (an element, type and length included). */
export function nameOfParameters(name: Name, parameters: Uint8Array): Name {
  return joinName(name, tlv(TT.ParametersSha256DigestComponent, hash("sha256", parameters, "buffer")));
}

/** What one Interest says besides its Name. */
interface InterestExtras {
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
export function encodeInterest(name: Name, options: InterestExtras = {}): Buffer {
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
