import { NackHeader } from "@ndn/packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DataFields } from "#ndn/packet/data.ts";
import { readInterest } from "#ndn/packet/interest.ts";
import { componentsOf } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { arbData, arbInterest, lpPacket, trapped, wireOf } from "./arbitraries.ts";

const view = new PacketView();
const fields = new DataFields();

const arbPacket = fc.oneof(
  arbInterest.map(wireOf),
  arbData.map(wireOf),
  fc
    .tuple(arbInterest, fc.uint8Array({ minLength: 1, maxLength: 32 }))
    .map(([interest, pitToken]) =>
      lpPacket(wireOf(interest), { pitToken, congestionMark: 1, nack: new NackHeader(150) }),
    ),
);
const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 6 });

/** Byte flips fall mostly on the front, where the headers are. */
function mutate(packet: Buffer, changes: readonly (readonly [number, number])[], cut: number): Buffer {
  const copy = Buffer.from(packet.subarray(0, Math.max(1, packet.length - cut)));
  for (const [at, mask] of changes) copy[at % Math.min(copy.length, at % 3 ? 40 : copy.length)]! ^= mask;
  return copy;
}

/** Everything that can be read of a packet, as offsets from its start. */
function readAll(packet: Buffer, filler: number) {
  const { buf, start, end } = trapped(packet, filler);
  if (!view.read(buf, start, end) || view.type === 0 || view.isFragment) return undefined;
  const spans = [view.start, view.end, view.nameStart, view.nameEnd];
  if (view.tokenEnd > view.tokenStart) spans.push(view.tokenStart, view.tokenEnd);
  const interest = view.type === TT.Interest ? readInterest(view) : undefined;
  const isData = view.type === TT.Data && fields.read(view);
  if (isData && fields.contentStart > 0) spans.push(fields.contentStart, fields.contentEnd);
  if (isData && fields.finalBlockStart > 0) spans.push(fields.finalBlockStart, fields.finalBlockEnd);
  for (const at of spans) {
    expect(at).toBeGreaterThanOrEqual(start);
    expect(at).toBeLessThanOrEqual(end);
  }
  componentsOf(buf.subarray(view.nameStart, view.nameEnd));
  const { nackReason, congestionMark } = view;
  return { spans, interest, isData, contentType: isData ? fields.contentType : 0, nackReason, congestionMark };
}

test("mutated and truncated packets never throw, and what lies behind their end never changes what is read", () => {
  fc.assert(
    fc.property(arbPacket, flips, fc.oneof(fc.constant(0), fc.nat(50)), (packet, changes, cut) => {
      const mutated = mutate(packet, changes, cut);
      const read = readAll(mutated, 0x00);
      expect(readAll(mutated, 0x07)).toEqual(read);
      expect(readAll(mutated, 0xfd)).toEqual(read);
    }),
    { numRuns: 3_000 },
  );
});

test("bytes that were never a packet do not throw either", () => {
  fc.assert(
    fc.property(fc.constantFrom(5, 6, 0x64), fc.uint8Array({ maxLength: 60 }), (type, bytes) => {
      const packet = Buffer.from([type, ...bytes]);
      expect(readAll(packet, 0x07)).toEqual(readAll(packet, 0xff));
    }),
    { numRuns: 3_000 },
  );
});
