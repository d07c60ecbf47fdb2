/** Fragments, against `@ndn/lp` as a second implementation. */
import { LpPacket, Fragmenter as OtherFragmenter, Reassembler as OtherReassembler } from "@ndn/lp";
import { NackHeader } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { Fragmenter, maxFragmentsBytes } from "#ndn/face/fragmenter.ts";
import { Reassembler } from "#ndn/face/reassembler.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { maxPacketBytes, TT, tlv } from "#ndn/packet/tlv.ts";
import { seededRandom, shuffled } from "#test/support/seeded-random.ts";
import { lpPacket, wireOf } from "../packet/arbitraries.ts";

const view = new PacketView();
afterEach(() => vi.restoreAllMocks());

const limits = { partials: 64, partialsOfPeer: 64 };

const arbMtu = fc.integer({ min: 500, max: 2_000 });
const arbToken = fc.option(fc.uint8Array({ minLength: 1, maxLength: 32 }), { nil: undefined });
/** A Data larger than the MTU, of content that is different everywhere. */
const arbPacket = fc
  .tuple(fc.integer({ min: 2_001, max: maxPacketBytes - 9 }), fc.nat())
  .map(([bytes, seed]) => data(bytes, seed));

function data(contentBytes: number, seed: number): Buffer {
  const content = Buffer.alloc(contentBytes);
  for (let at = 0; at < contentBytes; at++) content[at] = (Math.imul(at ^ seed, 2654435761) >>> 13) & 0xff;
  return tlv(TT.Data, tlv(TT.Name), content).subarray(0, maxPacketBytes);
}

/** What our fragmenter makes of a packet. */
function fragmentsOf(fragmenter: Fragmenter, packet: Buffer, mtu: number): Buffer[] {
  const out = Buffer.alloc(maxFragmentsBytes);
  const behind = fragmenter.write(packet, 0, packet.length, out, 0);
  const fragments: Buffer[] = [];
  for (let at = 0; at < behind; at += mtu) fragments.push(Buffer.from(out.subarray(at, Math.min(behind, at + mtu))));
  return fragments;
}

/** What the other one makes of it. */
function otherFragmentsOf(fragmenter: OtherFragmenter, packet: Buffer, mtu: number, fields: Partial<LpPacket> = {}) {
  const whole = Object.assign(new LpPacket(), fields, { payload: packet });
  return fragmenter.fragment(whole, mtu).map(wireOf);
}

/** Hand a datagram over; a copy of what that completes, if anything. */
function accept(reassembler: Reassembler, datagram: Buffer, peer = 0): Buffer | undefined {
  if (!view.read(datagram, 0, datagram.length)) return undefined;
  if (view.isFragment && !reassembler.accept(view, peer)) return undefined;
  return Buffer.from(view.buf.subarray(view.start, view.end));
}

test("fragments of every size fit the MTU, and NDNts puts them together, with the PIT token of the first", () => {
  fc.assert(
    fc.property(arbPacket, arbMtu, arbToken, (packet, mtu, pitToken) => {
      const wire = pitToken ? lpPacket(packet, { pitToken }) : packet;
      const fragments = fragmentsOf(new Fragmenter(mtu), wire, mtu);
      const other = new OtherReassembler(10);
      const accepted = fragments.map((fragment) => other.accept(new Decoder(fragment).decode(LpPacket)));
      expect(Math.max(...fragments.map(({ length }) => length))).toBe(mtu);
      expect(accepted.slice(0, -1).every((whole) => whole === undefined)).toBe(true);
      expect(packet.equals(accepted.at(-1)!.payload!)).toBe(true);
      expect(Buffer.from(accepted.at(-1)!.pitToken ?? [])).toEqual(Buffer.from(pitToken ?? []));
    }),
    { numRuns: 300 },
  );
});

test("fragments that NDNts makes are put together in any order, some of them twice, with the first one's link fields", () => {
  const fields = { pitToken: Buffer.from("token!"), congestionMark: 3, nack: new NackHeader(50) };
  fc.assert(
    fc.property(arbPacket, arbMtu, fc.nat(), (packet, mtu, seed) => {
      const reassembler = new Reassembler(limits);
      const fragments = otherFragmentsOf(new OtherFragmenter(), packet, mtu, fields);
      const doubled = shuffled([...fragments, fragments[seed % fragments.length]!], seededRandom(seed));
      const whole = doubled.map((fragment) => accept(reassembler, fragment)).filter((one) => one !== undefined);
      expect(whole).toHaveLength(1);
      expect(packet.equals(whole[0]!)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("the link fields are those of the first fragment, whichever comes last", () => {
  const packet = data(5_000, 1);
  const fields = { pitToken: Buffer.from("token!"), congestionMark: 3, nack: new NackHeader(50) };
  for (const order of [(parts: Buffer[]) => parts, (parts: Buffer[]) => parts.reverse()]) {
    const reassembler = new Reassembler(limits);
    const fragments = order(otherFragmentsOf(new OtherFragmenter(), packet, 1_400, fields));
    expect(fragments.map((fragment) => accept(reassembler, fragment)).at(-1)).toEqual(packet);
    expect(view.buf.subarray(view.tokenStart, view.tokenEnd).toString()).toBe("token!");
    expect([view.congestionMark, view.nackReason]).toEqual([3, 50]);
  }
});

test("a congestion mark counts on whichever fragment it is", () => {
  const packet = data(5_000, 1);
  for (const marked of [0, 1, 3]) {
    const reassembler = new Reassembler(limits);
    const fragments = new OtherFragmenter().fragment(Object.assign(new LpPacket(), { payload: packet }), 1_400);
    fragments[marked]!.congestionMark = 1;
    expect(fragments.map((fragment) => accept(reassembler, wireOf(fragment))).at(-1)).toEqual(packet);
    expect(view.congestionMark).toBe(1);
  }
});

test("the fragments of many packets of many peers may be mixed", () => {
  const reassembler = new Reassembler({ partials: 64, partialsOfPeer: 4 });
  const mixed = [...Array(40).keys()].flatMap((n) => {
    const fragments = fragmentsOf(new Fragmenter(1_400), data(8_000, n), 1_400);
    return fragments.map((fragment) => ({ fragment, peer: n % 10, n }));
  });
  const whole = new Map<number, Buffer>();
  for (const { fragment, peer, n } of shuffled(mixed, seededRandom(3))) {
    const packet = accept(reassembler, fragment, peer);
    if (packet) whole.set(n, packet);
  }
  expect(whole.size).toBe(40);
  for (const [n, packet] of whole) expect(packet.equals(data(8_000, n))).toBe(true);
});

test("two peers that number their fragments alike do not disturb each other", () => {
  const reassembler = new Reassembler(limits);
  const packets = [data(8_000, 1), data(8_000, 2)];
  const fragments = packets.map((packet) =>
    fragmentsOf(new Fragmenter(1_400), packet, 1_400).map((fragment) => {
      fragment.fill(0, 6, 13); // the same Sequence, but for its last byte
      return fragment;
    }),
  );
  const whole = fragments[0]!.flatMap((_, index) =>
    [0, 1].map((peer) => accept(reassembler, fragments[peer]![index]!, peer)),
  );
  expect(whole.slice(-2)).toEqual(packets);
});

test("numbers of fragments pass 2^32 and 2^64", () => {
  for (const first of ["00000000fffffffe", "fffffffffffffffe"]) {
    const reassembler = new Reassembler(limits);
    const packet = data(8_000, 9);
    const fragments = fragmentsOf(new Fragmenter(1_400), packet, 1_400);
    fragments.forEach((fragment, index) => {
      fragment.writeBigUInt64BE(BigInt.asUintN(64, BigInt(`0x${first}`) + BigInt(index)), 6);
    });
    expect(
      fragments
        .reverse()
        .map((fragment) => accept(reassembler, fragment))
        .at(-1),
    ).toEqual(packet);
  }
});

test("without a missing fragment nothing comes, and later packets do", () => {
  const reassembler = new Reassembler({ partials: 4, partialsOfPeer: 4 });
  const fragmenter = new Fragmenter(1_400);
  let whole = 0;
  for (let n = 0; n < 100; n++) {
    const fragments = fragmentsOf(fragmenter, data(8_000, n), 1_400);
    const missing = n % 3 === 0 ? n % fragments.length : -1;
    fragments.forEach((fragment, index) => {
      if (index !== missing && accept(reassembler, fragment)) whole++;
    });
  }
  expect(whole).toBe(66);
});

test.each([
  ["5 %", 0.05, false],
  ["none", 0, false],
  ["5 %, and 10 % come twice", 0.05, true],
])("how many fragments get lost is known where %s do, and forgotten after a minute", (_, share, isDoubling) => {
  const reassembler = new Reassembler(limits);
  const [random, fragmenter] = [seededRandom(5), new Fragmenter(1_400)];
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  for (let n = 0; n < 2_000; n++) {
    clock.mockReturnValue(n);
    for (const fragment of fragmentsOf(fragmenter, data(8_000, n), 1_400)) {
      if (random() < share) continue;
      accept(reassembler, fragment);
      if (isDoubling && random() < 0.1) accept(reassembler, fragment);
    }
  }
  expect(reassembler.loss).toBeGreaterThanOrEqual(0.8 * share);
  expect(reassembler.loss).toBeLessThanOrEqual(isDoubling ? 0.2 : 1.2 * share);
  clock.mockReturnValue(100_000);
  expect(reassembler.loss).toBe(0);
});

test("what a peer that restarts leaves behind does not become part of a packet", () => {
  const reassembler = new Reassembler(limits);
  const parts = fragmentsOf(new Fragmenter(1_400), data(8_000, 1), 1_400);
  const clock = vi.spyOn(performance, "now").mockReturnValue(1_000);
  for (const part of parts.slice(0, 3)) accept(reassembler, part);
  clock.mockReturnValue(1_600);
  expect(parts.slice(3).map((part) => accept(reassembler, part))).toEqual([undefined, undefined, undefined]);
});

test("a packet inside a fragment that is none, or above the limit, is dropped", () => {
  const reassembler = new Reassembler(limits);
  const nested = lpPacket(data(5_000, 1), { pitToken: Buffer.from("token!") });
  const tooLarge = Buffer.concat([data(8_700, 1), Buffer.alloc(200)]);
  for (const packet of [nested, Buffer.alloc(3_000), tooLarge]) {
    const fragments = otherFragmentsOf(new OtherFragmenter(), packet, 1_400);
    expect(fragments.map((fragment) => accept(reassembler, fragment)).every((one) => one === undefined)).toBe(true);
  }
  const good = data(5_000, 2);
  expect(
    otherFragmentsOf(new OtherFragmenter(), good, 1_400)
      .map((part) => accept(reassembler, part))
      .at(-1),
  ).toEqual(good);
});

/** A fragment with these fields. */
function crafted(sequence: Buffer | undefined, index: Buffer | undefined, count: Buffer | undefined, bytes: number) {
  const field = (type: number, value: Buffer | undefined) => (value ? tlv(type, value) : Buffer.alloc(0));
  return tlv(
    TT.LpPacket,
    field(TT.LpSequence, sequence),
    field(TT.LpFragIndex, index),
    field(TT.LpFragCount, count),
    tlv(TT.LpFragment, Buffer.alloc(bytes, 6)),
  );
}

test("hostile fragments are dropped: counts that are huge, inconsistent or none, without a number, too large", () => {
  const reassembler = new Reassembler(limits);
  const sequence = Buffer.alloc(8, 1);
  const hostile = [
    crafted(undefined, Buffer.of(0), Buffer.of(2), 100),
    crafted(Buffer.alloc(4), Buffer.of(0), Buffer.of(2), 100),
    crafted(sequence, Buffer.of(2), Buffer.of(2), 100),
    crafted(sequence, Buffer.of(5), undefined, 100),
    crafted(sequence, Buffer.of(0), Buffer.of(0), 100),
    crafted(sequence, Buffer.alloc(8, 0xff), Buffer.alloc(8, 0xff), 100),
    crafted(sequence, Buffer.of(0), Buffer.from("7fffffff", "hex"), 100),
    crafted(sequence, Buffer.of(0), Buffer.alloc(3), 100),
    crafted(sequence, Buffer.of(0), Buffer.of(2), 0),
    crafted(sequence, Buffer.of(0), Buffer.of(2), 9_000),
    crafted(sequence, Buffer.of(0), Buffer.of(3), 100),
    crafted(sequence, Buffer.of(1), Buffer.of(2), 100),
  ];
  for (const datagram of hostile) expect(accept(reassembler, datagram)).toBeUndefined();
});

const fuzzRuns = Number(process.env.NDN_REGISTRY_FUZZ ?? 10_000);

test(`${fuzzRuns} datagrams of a stranger, fragments and garbage, take a bounded amount of memory and stop no one else`, () => {
  const random = seededRandom(11);
  const below = (limit: number) => Math.floor(random() * limit);
  const reassembler = new Reassembler({ partials: 64, partialsOfPeer: 4 });
  const before = process.memoryUsage().arrayBuffers;
  const good = new Fragmenter(1_400);
  for (let n = 0; n < fuzzRuns; n++) {
    const fragment = crafted(
      Buffer.of(0, 0, 0, 0, 0, 0, below(4), below(256)),
      Buffer.of(below(70)),
      Buffer.of(below(70)),
      below(1_400),
    );
    for (let flips = below(4); flips > 0; flips--) fragment[below(fragment.length)]! ^= 1 << below(8);
    accept(reassembler, fragment.subarray(0, fragment.length - (below(10) === 0 ? below(20) : 0)), below(100));
    if (n % 1_000 !== 0) continue;
    const packet = data(8_000, n);
    expect(
      fragmentsOf(good, packet, 1_400)
        .map((part) => accept(reassembler, part, 1_000))
        .at(-1),
    ).toEqual(packet);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 9_000 + 8 * 1024 * 1024);
});
