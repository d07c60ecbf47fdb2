/**
 * What somebody on the way can do to single packets. Each hits a share of the packets that it is for, and keeps the
 * stream's framing, so that only what it meant to break is broken; `tornFrames` is the exception.
 */
import { randomFillSync } from "node:crypto";
import { DataFields } from "#ndn/packet/data.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { encodeNni, maxLinkPacketBytes, TT, tlv } from "#ndn/packet/tlv.ts";
import { below } from "../seeded-random.ts";
import type { Mangle } from "./link.ts";

/** Every reason of NDNLPv2 § Network Nack, none at all (0), and one that nobody has heard of. */
export const nackReasons = { Congestion: 50, Duplicate: 100, NoRoute: 150, none: 0, unknown: 777 } as const;

/** Data of which the end is missing, in a frame that says so. */
export function truncated(share: number): Mangle {
  return onData(share, (packet, random) => {
    const kept = packet.subarray(0, 2 + below(random, packet.length - 2));
    return [tlv(packet[0]!, kept.subarray(Math.min(kept.length, headerBytes(packet))))];
  });
}

/** Packets that end too early without saying so: what follows is read as their rest. */
export function tornFrames(share: number): Mangle {
  return onData(share, (packet, random) => [packet.subarray(0, 1 + below(random, packet.length - 1))]);
}

/** Data above the size that any NDN packet may have; the right name is in front. */
export function oversized(share: number): Mangle {
  return onData(share, (packet) => {
    const name = packet.subarray(view.nameStart, view.nameEnd);
    return [tlv(TT.Data, tlv(TT.Name, name), tlv(TT.Content, Buffer.alloc(maxLinkPacketBytes)))];
  });
}

/** Data with the right name and length and other content; nothing in the packet itself gives it away. */
export function forged(share: number): Mangle {
  return onData(share, (packet) => {
    if (!fields.read(view) || fields.contentEnd === fields.contentStart) return [packet];
    const copy = Buffer.from(packet);
    randomFillSync(copy, fields.contentStart, fields.contentEnd - fields.contentStart);
    return [copy];
  });
}

/** Interests that come back as a Nack instead of being answered. */
export function nacked(share: number, reason: number): Mangle {
  return (packet, random) => {
    if (!isOf(packet, TT.Interest) || random() >= share) return undefined;
    const token = packet.subarray(view.tokenStart, view.tokenEnd);
    const nack = tlv(
      TT.LpPacket,
      token.length > 0 ? tlv(TT.LpPitToken, token) : Buffer.alloc(0),
      tlv(TT.Nack, reason === 0 ? Buffer.alloc(0) : tlv(0x0321, encodeNni(reason))),
      tlv(TT.LpFragment, packet.subarray(view.start, view.end)),
    );
    return { onward: [], back: [nack] };
  };
}

/** Data behind which the same name comes once more with other content, or before which it does. */
export function shadowed(share: number): Mangle {
  const forge = forged(1);
  return onData(share, (packet, random) => {
    const copy = forge(packet, random)?.onward ?? [];
    return random() < 0.5 ? [packet, ...copy] : [...copy, packet];
  });
}

const view = new PacketView();
const fields = new DataFields();

function isOf(packet: Buffer, type: number): boolean {
  return view.read(packet, 0, packet.length) && view.type === type && view.nackReason === undefined;
}

function onData(share: number, change: (packet: Buffer, random: () => number) => readonly Buffer[]): Mangle {
  return (packet, random) =>
    isOf(packet, TT.Data) && random() < share ? { onward: change(packet, random) } : undefined;
}

/** Bytes of the outer type and length. */
function headerBytes(packet: Buffer): number {
  return packet[1]! < 0xfd ? 2 : packet[1] === 0xfd ? 4 : 6;
}
