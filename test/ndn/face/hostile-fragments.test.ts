/** Fragments that a stranger has made up. */
import { Fragmenter as OtherFragmenter } from "@ndn/lp";
import { expect, test } from "vitest";
import { Fragmenter } from "#ndn/face/fragmenter.ts";
import { Reassembler } from "#ndn/face/reassembler.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { lpPacket } from "../packet/arbitraries.ts";
import { accept, data, fragmentsOf, otherFragmentsOf } from "./fragments.ts";

const limits = { partials: 64, partialsOfPeer: 64 };

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
