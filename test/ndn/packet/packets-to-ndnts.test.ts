import { LpPacket } from "@ndn/lp";
import { Data, Interest, Name, SigType } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import fc from "fast-check";
import { expect, test } from "vitest";
import { maxLpHeaderBytes, SegmentDataEncoder, writeLpHeader } from "#ndn/packet/data.ts";
import { encodeInterest, interestLifetimeMs, SegmentInterestTemplate } from "#ndn/packet/interest.ts";
import { segment } from "#ndn/packet/name.ts";
import { arbName } from "./arbitraries.ts";

const segmentNumber = fc.oneof(
  fc.constantFrom(0, 1, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);

function bytesOf(name: Name): Buffer {
  return Buffer.from(name.value);
}

/** The name that NDNts makes of a prefix and a segment number. */
function segmentName(prefix: Name, n: number): Name {
  return new Name(Buffer.concat([prefix.value, segment(n)]));
}

test("NDNts reads every Interest of a template, written at any offset", () => {
  fc.assert(
    fc.property(arbName, fc.option(arbName, { nil: undefined }), segmentNumber, fc.nat(100), (prefix, hint, n, at) => {
      const template = new SegmentInterestTemplate(bytesOf(prefix), hint && bytesOf(hint));
      const out = Buffer.alloc(at + template.maxBytes, 0xaa);
      const end = template.write(out, at, n);
      const interest = new Decoder(out.subarray(at, end)).decode(Interest);
      expect(interest.name.equals(segmentName(prefix, n))).toBe(true);
      expect(interest.lifetime).toBe(interestLifetimeMs);
      expect([interest.canBePrefix, interest.mustBeFresh]).toEqual([false, false]);
      const delegations = interest.fwHint?.delegations ?? [];
      expect(delegations.map(String)).toEqual(hint ? [String(hint)] : []);
    }),
  );
});

test("a template never uses the same nonce for a retransmission", () => {
  const template = new SegmentInterestTemplate(bytesOf(new Name("/A")));
  const out = Buffer.alloc(template.maxBytes);
  const nonces = new Set<number>();
  for (let i = 0; i < 3_000; i++)
    nonces.add(new Decoder(out.subarray(0, template.write(out, 0, 7))).decode(Interest).nonce!);
  expect(nonces.size).toBeGreaterThan(2_990);
});

test("NDNts reads an Interest with any flags", () => {
  fc.assert(
    fc.property(
      arbName,
      fc.boolean(),
      fc.boolean(),
      fc.option(arbName, { nil: undefined }),
      (name, prefix, fresh, hint) => {
        const options = { canBePrefix: prefix, mustBeFresh: fresh, ...(hint && { forwardingHint: bytesOf(hint) }) };
        const interest = new Decoder(encodeInterest(bytesOf(name), options)).decode(Interest);
        expect(interest.name.equals(name)).toBe(true);
        expect([interest.canBePrefix, interest.mustBeFresh]).toEqual([prefix, fresh]);
        expect(interest.fwHint?.delegations.map(String)).toEqual(hint && [String(hint)]);
        expect(interest.nonce).toBeDefined();
      },
    ),
  );
});

test("NDNts reads every segment that is written, and it has exactly the size that was announced", () => {
  fc.assert(
    fc.property(
      arbName,
      segmentNumber,
      segmentNumber,
      fc.nat(8192),
      fc.nat(100),
      (prefix, n, last, payloadBytes, at) => {
        const payload = Buffer.alloc(payloadBytes + 10, 0x5a);
        const encoder = new SegmentDataEncoder(bytesOf(prefix), last, 86_400_000);
        const size = encoder.sizeof(n, payloadBytes);
        const out = Buffer.alloc(at + size + 5, 0xaa);
        expect(encoder.write(out, at, n, payload, 5, 5 + payloadBytes)).toBe(at + size);
        const data = new Decoder(out.subarray(at, at + size)).decode(Data);
        expect(data.name.equals(segmentName(prefix, n))).toBe(true);
        expect(Buffer.from(data.finalBlockId!.tlv)).toEqual(segment(last));
        expect([data.contentType, data.freshnessPeriod, data.sigInfo.type]).toEqual([0, 86_400_000, SigType.Null]);
        expect(payload.subarray(5, 5 + payloadBytes).equals(data.content)).toBe(true);
      },
    ),
  );
});

test("NDNts reads a Data behind our link-layer header with the PIT token, of any length", () => {
  const encoder = new SegmentDataEncoder(bytesOf(new Name("/A")), 9, 1_000);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), fc.constantFrom(0, 100, 200, 250, 8192), (token, payloadBytes) => {
      const size = encoder.sizeof(3, payloadBytes);
      const out = Buffer.alloc(maxLpHeaderBytes + size);
      const at = writeLpHeader(out, 0, Buffer.from(token), 0, token.length, size);
      expect(at).toBeLessThanOrEqual(maxLpHeaderBytes);
      const end = encoder.write(out, at, 3, Buffer.alloc(payloadBytes), 0, payloadBytes);
      expect(at > 0).toBe(token.length > 0);
      if (token.length === 0) return;
      const packet = new Decoder(out.subarray(0, end)).decode(LpPacket);
      expect(Buffer.from(packet.pitToken!)).toEqual(Buffer.from(token));
      expect(new Decoder(packet.payload!).decode(Data).content).toHaveLength(payloadBytes);
    }),
  );
});
