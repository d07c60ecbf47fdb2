/** Packets that were valid once. Framed ones keep a right outer header, so that the stream goes on behind them. */
import { digestListName, metadataName, objectName, plainName, segmentSizes } from "#blob/names.ts";
import { pointerName } from "#blob/pointer-names.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { joinName, type Name, parseName, segment } from "#ndn/packet/name.ts";
import { maxLinkPacketBytes, TT, tlv } from "#ndn/packet/tlv.ts";
import type { Digest } from "#oci/reference.ts";
import { below, oneOf } from "#test/support/seeded-random.ts";

type Random = () => number;
type Change = (packet: Buffer, random: Random, corpus: readonly Buffer[]) => Buffer;

/** Interests of every form for these blobs, as packets and in link-layer packets. */
export function validInterests(prefix: string, repository: string, digests: readonly Digest[]): Buffer[] {
  const place = parseName(prefix);
  const forwardingHint = joinName(place, parseName(`/${repository}`));
  const interests = digests.flatMap((digest) => [
    encodeInterest(metadataName(place, repository, digest), { canBePrefix: true, mustBeFresh: true }),
    encodeInterest(joinName(plainName(place, repository, digest), segment(3))),
    ...segmentSizes.flatMap((size) => [
      ...[0, 255, 70_000].map((n) => hinted(joinName(objectName(place, digest, size), segment(n)), forwardingHint)),
      hinted(digestListName(objectName(place, digest, size), 0), forwardingHint),
    ]),
  ]);
  interests.push(...pointers(place, repository, digests[0]!));
  return [...interests, ...interests.map((interest) => inLink(interest))];
}

/** Interests for pointers of every kind. */
function pointers(place: Name, repository: string, digest: Digest): Buffer[] {
  const targets = [
    { kind: "tag", repository, tag: "latest" },
    { kind: "manifest", repository, digest },
    { kind: "tags", repository },
    { kind: "referrers", repository, digest },
    { kind: "catalog" },
  ] as const;
  return targets.map((target) => encodeInterest(pointerName(place, target), { canBePrefix: true, mustBeFresh: true }));
}

function hinted(name: Name, forwardingHint: Name): Buffer {
  return encodeInterest(name, { forwardingHint });
}

function inLink(packet: Buffer): Buffer {
  return tlv(TT.LpPacket, tlv(TT.LpPitToken, Buffer.from("abcdef")), tlv(TT.LpFragment, packet));
}

/** A valid packet of the corpus after one to three changes. */
export function fuzzed(corpus: readonly Buffer[], random: Random): Buffer {
  let packet: Buffer = Buffer.from(oneOf(random, corpus));
  for (let i = 1 + below(random, 3); i > 0; i--) packet = oneOf(random, changes)(packet, random, corpus);
  return packet;
}

/** The same with an outer header that fits. */
export function framed(packet: Buffer, random: Random): Buffer {
  const type = [TT.Interest, TT.Data, TT.LpPacket].find((known) => known === packet[0]);
  return tlv(
    type ?? oneOf(random, [TT.Interest, TT.Data, TT.LpPacket]),
    packet.subarray(headerBytes(packet), maxLinkPacketBytes - 8),
  );
}

function headerBytes(packet: Buffer): number {
  const length = packet[1] ?? 0;
  return length < 0xfd ? 2 : length === 0xfd ? 4 : length === 0xfe ? 6 : 10;
}

const changes: readonly Change[] = [
  flipBytes,
  flipBytes,
  (packet, random) => packet.subarray(0, below(random, packet.length + 1)),
  (packet, random) => splice(packet, random, randomBuffer(random, 1 + below(random, 40))),
  (packet, random) => splice(packet, random, Buffer.alloc(0), 1 + below(random, 12)),
  (packet, random) => splice(packet, random, packet.subarray(below(random, packet.length + 1)).subarray(0, 200)),
  (packet, random) => splice(packet, random, Buffer.of(oneOf(random, [0, 1, 0x7f, 0xfc, 0xfd, 0xfe, 0xff])), 1),
  (packet, random, corpus) => splice(packet, random, oneOf(random, corpus).subarray(0, 400), below(random, 60)),
  (packet, random) => inStrangeLink(packet, random),
  (packet) => tlv(TT.LpPacket, tlv(TT.LpFragment, tlv(TT.LpPacket, tlv(TT.LpFragment, packet)))),
  (_, random) => Buffer.concat([Buffer.of(oneOf(random, [5, 6, 0x64])), randomBuffer(random, below(random, 300))]),
];

/** Mostly near the front, where the headers and the name are. */
function flipBytes(packet: Buffer, random: Random): Buffer {
  const copy = Buffer.from(packet);
  for (let i = below(random, 6); i >= 0 && copy.length > 0; i--) {
    copy[below(random, random() < 0.7 ? Math.min(copy.length, 120) : copy.length)] = below(random, 256);
  }
  return copy;
}

function splice(packet: Buffer, random: Random, inserted: Buffer, removed = 0): Buffer {
  const at = below(random, packet.length + 1);
  return Buffer.concat([packet.subarray(0, at), inserted, packet.subarray(at + removed)]);
}

/** Link-layer headers of every kind, of lengths that they should not have. */
function inStrangeLink(packet: Buffer, random: Random): Buffer {
  const types = [TT.LpPitToken, TT.LpFragIndex, TT.LpFragCount, TT.Nack, TT.CongestionMark, 0x51, 0x032c, 0x0348, 1023];
  const headers = Array.from({ length: below(random, 4) }, () =>
    tlv(oneOf(random, types), randomBuffer(random, below(random, 40))),
  );
  return tlv(TT.LpPacket, ...headers, random() < 0.8 ? tlv(TT.LpFragment, packet) : packet);
}

function randomBuffer(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)));
}
