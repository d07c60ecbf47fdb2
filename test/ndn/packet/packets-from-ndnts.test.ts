import { NackHeader } from "@ndn/packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DataFields } from "#ndn/packet/data.ts";
import { readInterest } from "#ndn/packet/interest.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { arbData, arbInterest, lpPacket, trapped, wireOf } from "./arbitraries.ts";

const view = new PacketView();

function read(wire: Buffer): void {
  const { buf, start, end } = trapped(wire, 0x07);
  expect(view.read(buf, start, end)).toBe(true);
}

function nameBytes(): Buffer {
  return view.buf.subarray(view.nameStart, view.nameEnd);
}

test("every Interest that NDNts encodes is read: name, flags and forwarding hint", () => {
  fc.assert(
    fc.property(arbInterest, (interest) => {
      read(wireOf(interest));
      expect(view.type).toBe(TT.Interest);
      expect(nameBytes().equals(interest.name.value)).toBe(true);
      const fields = readInterest(view)!;
      expect(fields.canBePrefix).toBe(interest.canBePrefix);
      expect(fields.mustBeFresh).toBe(interest.mustBeFresh);
      const hint = interest.fwHint?.delegations ?? [];
      expect(fields.forwardingHint.map((name) => name.toString("hex"))).toEqual(
        hint.map((name) => Buffer.from(name.value).toString("hex")),
      );
    }),
  );
});

test("every Data that NDNts encodes is read: name, content, content type and final block", () => {
  const fields = new DataFields();
  fc.assert(
    fc.property(arbData, (data) => {
      read(wireOf(data));
      expect(view.type).toBe(TT.Data);
      expect(nameBytes().equals(data.name.value)).toBe(true);
      expect(fields.read(view)).toBe(true);
      expect(fields.contentType).toBe(data.contentType);
      expect(view.buf.subarray(fields.contentStart, fields.contentEnd).equals(data.content)).toBe(true);
      const final = view.buf.subarray(fields.finalBlockStart, fields.finalBlockEnd);
      expect(final.equals(data.finalBlockId?.tlv ?? new Uint8Array())).toBe(true);
    }),
  );
});

test("PIT token and congestion mark of an LpPacket are read, and do not stick to the next packet", () => {
  const token = fc.uint8Array({ minLength: 1, maxLength: 32 });
  fc.assert(
    fc.property(arbInterest, token, fc.integer({ min: 1, max: 70_000 }), (interest, pitToken, congestionMark) => {
      read(lpPacket(wireOf(interest), { pitToken, congestionMark }));
      expect(view.buf.subarray(view.tokenStart, view.tokenEnd).equals(pitToken)).toBe(true);
      expect(view.congestionMark).toBe(congestionMark);
      expect(view.type).toBe(TT.Interest);
      read(wireOf(interest));
      expect(view.tokenEnd - view.tokenStart).toBe(0);
      expect(view.congestionMark).toBe(0);
    }),
  );
});

test("a Nack is read with its reason, 0 when it has none", () => {
  fc.assert(
    fc.property(arbInterest, fc.constantFrom(0, 50, 100, 150, 300, 70_000), (interest, reason) => {
      read(lpPacket(wireOf(interest), { nack: new NackHeader(reason) }));
      expect(view.nackReason).toBe(reason);
      read(wireOf(interest));
      expect(view.nackReason).toBeUndefined();
    }),
  );
});

test("a fragment is known as one, and a whole packet with a sequence number is not", () => {
  const payload = Buffer.alloc(100, 7);
  read(lpPacket(payload, { fragSeqNum: 5n, fragIndex: 0, fragCount: 2 }));
  expect(view.isFragment).toBe(true);
  read(lpPacket(payload, { fragSeqNum: 6n, fragIndex: 1, fragCount: 2 }));
  expect(view.isFragment).toBe(true);
  const interest = fc.sample(arbInterest, { numRuns: 1, seed: 1 })[0]!;
  read(lpPacket(wireOf(interest), { fragSeqNum: 7n, fragIndex: 0, fragCount: 1 }));
  expect(view.isFragment).toBe(false);
});

test("an idle LpPacket is no packet", () => {
  read(lpPacket(undefined, {}));
  expect(view.type).toBe(0);
});

test("a PIT token longer than 32 bytes is malformed", () => {
  const interest = fc.sample(arbInterest, { numRuns: 1, seed: 1 })[0]!;
  const wire = lpPacket(wireOf(interest), { pitToken: new Uint8Array(33) });
  expect(view.read(wire, 0, wire.length)).toBe(false);
});
