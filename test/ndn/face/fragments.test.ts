/** Fragments, against `@ndn/lp` as a second implementation. */
import { LpPacket, Fragmenter as OtherFragmenter, Reassembler as OtherReassembler } from "@ndn/lp";
import { NackHeader } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { Fragmenter } from "#ndn/face/fragmenter.ts";
import { Reassembler } from "#ndn/face/reassembler.ts";
import { maxPacketBytes } from "#ndn/packet/tlv.ts";
import { seededRandom, shuffled } from "#test/support/seeded-random.ts";
import { lpPacket, wireOf } from "../packet/arbitraries.ts";
import { accept, data, fragmentsOf, otherFragmentsOf, view } from "./fragments.ts";

afterEach(() => vi.restoreAllMocks());

const limits = { partials: 64, partialsOfPeer: 64 };

const arbMtu = fc.integer({ min: 500, max: 2_000 });
const arbToken = fc.option(fc.uint8Array({ minLength: 1, maxLength: 32 }), { nil: undefined });
/** A Data larger than the MTU, of content that is different everywhere. */
const arbPacket = fc
  .tuple(fc.integer({ min: 2_001, max: maxPacketBytes - 9 }), fc.nat())
  .map(([bytes, seed]) => data(bytes, seed));

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
