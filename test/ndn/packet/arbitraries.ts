/**
 * Random packets for property tests, as `@ndn/packet` sees them: the second implementation that ours is held against.
 */
import { LpPacket } from "@ndn/lp";
import { Component, Data, FwHint, Interest, Name, SigInfo, SigType } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import fc from "fast-check";

export const arbComponent = fc
  .tuple(fc.constantFrom(8, 32, 50, 54, 56, 58, 2, 300, 65535), fc.uint8Array({ maxLength: 40 }))
  .map(([type, value]) => new Component(type, value));

export const arbName = fc.array(arbComponent, { minLength: 1, maxLength: 8 }).map((components) => new Name(components));

export const arbInterest = fc
  .record({
    name: arbName,
    canBePrefix: fc.boolean(),
    mustBeFresh: fc.boolean(),
    lifetime: fc.nat(100_000),
    hopLimit: fc.integer({ min: 0, max: 255 }),
    hint: fc.array(arbName, { maxLength: 3 }),
  })
  .map(({ hint, ...fields }) => {
    const interest = new Interest(fields.name, Interest.Nonce(), Interest.Lifetime(fields.lifetime));
    interest.canBePrefix = fields.canBePrefix;
    interest.mustBeFresh = fields.mustBeFresh;
    interest.hopLimit = fields.hopLimit;
    if (hint.length > 0) interest.fwHint = new FwHint(hint);
    return interest;
  });

export const arbData = fc
  .record({
    name: arbName,
    contentType: fc.constantFrom(0, 2, 3, 4, 300),
    freshness: fc.nat(1e9),
    finalBlock: fc.option(arbComponent, { nil: undefined }),
    content: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(8000).map((length) => new Uint8Array(length)),
    ),
  })
  .map(({ name, contentType, freshness, finalBlock, content }) => {
    const data = new Data(name, Data.ContentType(contentType), Data.FreshnessPeriod(freshness), content);
    if (finalBlock) data.finalBlockId = finalBlock;
    data.sigInfo = new SigInfo(SigType.Null);
    data.sigValue = new Uint8Array();
    return data;
  });

/** An LpPacket around `payload` with these link-layer headers. */
export function lpPacket(payload: Uint8Array | undefined, headers: Partial<LpPacket>): Buffer {
  const packet = Object.assign(new LpPacket(), headers);
  if (payload) packet.payload = payload;
  return wireOf(packet);
}

/** What goes on the wire. */
export function wireOf(packet: Parameters<typeof Encoder.encode>[0]): Buffer {
  const wire = Encoder.encode(packet);
  return Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength);
}

/** The bytes within a larger buffer that is otherwise full of traps: reading there shows. */
export function trapped(packet: Uint8Array, filler: number): { buf: Buffer; start: number; end: number } {
  const margin = Buffer.alloc(64, filler);
  return { buf: Buffer.concat([margin, packet, margin]), start: 64, end: 64 + packet.length };
}
