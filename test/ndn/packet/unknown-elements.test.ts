/** Elements that we do not know, or not there: `@ndn/packet` says which packets are still valid, and what they say. */
import { LpPacket } from "@ndn/lp";
import { Data, Interest, Name, SigInfo, SigType, ValidityPeriod } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataFields } from "#ndn/packet/data.ts";
import { readInterest } from "#ndn/packet/interest.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { readElements, TT, tlv } from "#ndn/packet/tlv.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { arbData, arbInterest, arbName, lpPacket, wireOf } from "./arbitraries.ts";

const view = new PacketView();
const fields = new DataFields();

const arbSignedData = fc.tuple(arbData, fc.option(arbName, { nil: undefined })).map(([data, locator]) => {
  data.sigInfo = locator ? new SigInfo(SigType.Sha256, locator) : new SigInfo(SigType.Sha256);
  data.sigInfo.time = 1_700_000_000_000;
  data.sigInfo.validity = new ValidityPeriod(0, 1_000_000);
  return data;
});

/** Parts of packets whose elements are looked at. */
const parts: readonly number[] = [
  ...[TT.Interest, TT.Data, TT.MetaInfo, TT.ForwardingHint],
  ...[TT.SignatureInfo, TT.KeyLocator, TT.ValidityPeriod],
];

/** An element, or one that others can be put into. */
type Tree = Buffer | { readonly type: number; readonly inside: Tree[] };

function treesIn(buf: Buffer): Tree[] {
  return readElements(buf)!.map(({ type, at, start, end }) =>
    parts.includes(type) ? { type, inside: treesIn(buf.subarray(start, end)) } : buf.subarray(at, end),
  );
}

function encoded(tree: Tree): Buffer {
  return Buffer.isBuffer(tree) ? tree : tlv(tree.type, ...tree.inside.map(encoded));
}

/** Every place for another element: the list that it would be in, and its number there; never in front of the packet's Name. */
function placesIn(tree: Tree, isPacket = true): [list: Tree[], nth: number][] {
  if (Buffer.isBuffer(tree)) return [];
  const here = Array.from({ length: tree.inside.length + 1 }, (_, nth): [Tree[], number] => [tree.inside, nth]);
  return [...here.slice(isPacket ? 1 : 0), ...tree.inside.flatMap((one) => placesIn(one, false))];
}

/** The packet with other elements in it, one after another, at places drawn from all that there are. */
function withElements(packet: Buffer, elements: readonly (readonly [element: Buffer, place: number])[]): Buffer {
  const [tree] = treesIn(packet) as [Tree];
  for (const [element, place] of elements) {
    const places = placesIn(tree);
    const [list, nth] = places[place % places.length]!;
    list.splice(nth, 0, element);
  }
  return encoded(tree);
}

function accepts(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/** Unknown in every part of a packet. */
const unknownType = fc.oneof(
  fc.constantFrom(0x00, 0x01, 0x03, 0x0b, 0x11, 0x1f, 0x23, 0x2b, 0x2d, 0x81, 0xf1, 0xfb, 0x0101, 0xffff, 0x10001),
  fc.constantFrom(0x20, 0x30, 0x3e, 0x80, 0xf0, 0xfc, 0x0100, 0x0320, 0x03fe, 0xf500, 0x10000, 0xfffffffe),
);
/** Critical, and known in some part: out of place, or there again, in most. */
const knownElement = fc.constantFrom(
  tlv(TT.Name, new Name("/A").value),
  ...[TT.CanBePrefix, TT.MustBeFresh, TT.Content, TT.SignatureValue].map((type) => tlv(type)),
  tlv(TT.Nonce, Buffer.alloc(4)),
  ...[TT.InterestLifetime, TT.ContentType, TT.FreshnessPeriod, TT.SignatureType].map((type) => tlv(type, Buffer.of(3))),
  tlv(TT.FinalBlockId, new Name("/A").value),
  tlv(TT.SignatureInfo, tlv(TT.SignatureType, Buffer.of(0))),
  tlv(TT.KeyLocator, tlv(TT.KeyDigest, Buffer.alloc(32))),
  tlv(TT.KeyDigest, Buffer.alloc(32)),
);
const element = fc.oneof(
  fc.tuple(unknownType, fc.uint8Array({ maxLength: 20 })).map(([type, value]) => tlv(type, value)),
  knownElement,
);
const runs = { numRuns: 1_500, seed: 11 };

const insertions = fc.array(fc.tuple(element, fc.nat()), { minLength: 1, maxLength: 2 });

test("an Interest with other elements anywhere is read or dropped as by NDNts", () => {
  let valid = 0;
  fc.assert(
    fc.property(arbInterest, insertions, (made, others) => {
      const packet = withElements(wireOf(made), others);
      const isValid = accepts(() => new Decoder(packet).decode(Interest));
      expect(view.read(packet, 0, packet.length)).toBe(isValid);
      if (!isValid) return;
      valid++;
      const theirs = new Decoder(packet).decode(Interest);
      const ours = readInterest(view)!;
      expect([ours.canBePrefix, ours.mustBeFresh]).toEqual([theirs.canBePrefix, theirs.mustBeFresh]);
      expect(ours.forwardingHint.map((name) => new Name(name).toString())).toEqual(
        (theirs.fwHint?.delegations ?? []).map(String),
      );
    }),
    runs,
  );
  expect(valid).toBeGreaterThan(runs.numRuns / 10);
  expect(valid).toBeLessThan(runs.numRuns * 0.9);
});

test("a Data with other elements anywhere is read or dropped as by NDNts", () => {
  let valid = 0;
  fc.assert(
    fc.property(arbSignedData, insertions, (made, others) => {
      const packet = withElements(wireOf(made), others);
      const isValid = accepts(() => new Decoder(packet).decode(Data));
      expect(view.read(packet, 0, packet.length) && fields.read(view)).toBe(isValid);
      const signed = readSignedData(packet);
      if (!isValid) expect(signed).toBeUndefined();
      if (!isValid) return;
      valid++;
      const { content, contentType, finalBlockId } = new Decoder(packet).decode(Data);
      expect(packet.subarray(fields.contentStart, fields.contentEnd).equals(content)).toBe(true);
      expect(fields.contentType).toBe(contentType);
      const final = packet.subarray(fields.finalBlockStart, fields.finalBlockEnd);
      expect(final.equals(finalBlockId?.tlv ?? new Uint8Array())).toBe(true);
      if (signed) expect(signed.content.equals(content)).toBe(true);
    }),
    runs,
  );
  expect(valid).toBeGreaterThan(runs.numRuns / 10);
  expect(valid).toBeLessThan(runs.numRuns * 0.9);
});

describe("link-layer fields", () => {
  const interest = wireOf(new Interest("/A", Interest.Nonce(1)));
  const known = lpPacket(interest, { pitToken: new Uint8Array(6), congestionMark: 1 });
  const whole = readElements(known)![0]!;
  const own = readElements(known, whole.start, whole.end)!.map(({ at, end }) => known.subarray(at, end));

  /** Whether an LpPacket with another field in front of its `nth` own one is read. */
  function isRead(field: Buffer, nth: number): boolean {
    const packet = tlv(TT.LpPacket, ...own.toSpliced(nth, 0, field));
    return view.read(packet, 0, packet.length);
  }

  test("only those from 800 to 959 that are divisible by four may be unknown", () => {
    const names = [
      TT.LpFragment,
      TT.LpSequence,
      TT.LpFragIndex,
      TT.LpFragCount,
      TT.LpPitToken,
      TT.Nack,
      TT.CongestionMark,
    ];
    for (let type = 1; type < 1_200; type++) {
      if ((names as number[]).includes(type)) continue;
      const mayBe = type >= 800 && type <= 959 && type % 4 === 0;
      for (let nth = 0; nth < own.length; nth++)
        expect([type, isRead(tlv(type, Buffer.of(0)), nth)]).toEqual([type, mayBe]);
    }
    for (const type of [0, 0xffff, 0x10320]) expect(isRead(tlv(type), 0)).toBe(false);
  });

  test("one that is ignored leaves the others as they are", () => {
    expect(isRead(tlv(0x034c, Buffer.alloc(9)), 1)).toBe(true);
    expect([view.tokenEnd - view.tokenStart, view.congestionMark, view.type]).toEqual([6, 1, TT.Interest]);
    expect(view.buf.subarray(view.start, view.end)).toEqual(interest);
  });

  test("a critical one that is there again or out of order drops the packet, as by NDNts", () => {
    const again = [TT.LpSequence, TT.LpFragIndex, TT.LpFragCount].map((type) => tlv(type, Buffer.alloc(8)));
    for (const field of [...again, tlv(TT.LpPitToken, Buffer.alloc(6)), tlv(TT.LpFragment, interest)]) {
      for (let nth = 0; nth <= own.length; nth++) {
        const packet = tlv(TT.LpPacket, ...own.toSpliced(nth, 0, field));
        const isValid = accepts(() => new Decoder(packet).decode(LpPacket));
        expect([field.toString("hex"), nth, isRead(field, nth)]).toEqual([field.toString("hex"), nth, isValid]);
      }
    }
  });

  test("bytes behind the packet in a datagram make it malformed", () => {
    const longer = Buffer.concat([known, tlv(0x034c)]);
    expect(view.read(longer, 0, longer.length)).toBe(false);
  });
});

test("elements that are not critical and come again or too late are as if they were not there", () => {
  const name = tlv(TT.Name, new Name("/A").value);
  const parameters = tlv(TT.ApplicationParameters, Buffer.from("first"));
  const hops = (n: number) => tlv(TT.HopLimit, Buffer.of(n));
  const late = tlv(TT.ApplicationParameters, Buffer.from("late"));
  const signed = tlv(TT.InterestSignatureInfo, tlv(TT.SignatureType, Buffer.of(0)));
  const read = (...elements: Buffer[]) => {
    const packet = tlv(TT.Interest, name, ...elements);
    return view.read(packet, 0, packet.length) ? readInterest(view) : undefined;
  };
  expect(read(hops(1), hops(2), parameters)?.parameters).toEqual(parameters);
  expect(read(parameters, hops(1))?.parameters).toEqual(Buffer.concat([parameters, hops(1)]));
  expect(read(parameters, late)?.parameters).toEqual(Buffer.concat([parameters, late]));
  expect(read(signed, late)?.parameters).toBeUndefined();
  expect(read(signed, late)).toBeDefined();
  expect(read(tlv(TT.InterestSignatureInfo, tlv(0xf1)))).toBeUndefined();
  expect(read(parameters, tlv(TT.Nonce, Buffer.alloc(4)))).toBeUndefined();
});
