/** Fragments of ours and of `@ndn/lp`, and what a reassembler makes of them. */
import { LpPacket, type Fragmenter as OtherFragmenter } from "@ndn/lp";
import { type Fragmenter, maxFragmentsBytes } from "#ndn/face/fragmenter.ts";
import type { Reassembler } from "#ndn/face/reassembler.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { maxPacketBytes, TT, tlv } from "#ndn/packet/tlv.ts";
import { wireOf } from "../packet/arbitraries.ts";

/** Of the last packet that {@link accept} was given. */
export const view: PacketView = new PacketView();

/** A Data of content that is different everywhere. */
export function data(contentBytes: number, seed: number): Buffer {
  const content = Buffer.alloc(contentBytes);
  for (let at = 0; at < contentBytes; at++) content[at] = (Math.imul(at ^ seed, 2654435761) >>> 13) & 0xff;
  return tlv(TT.Data, tlv(TT.Name), content).subarray(0, maxPacketBytes);
}

/** What our fragmenter makes of a packet. */
export function fragmentsOf(fragmenter: Fragmenter, packet: Buffer, mtu: number): Buffer[] {
  const out = Buffer.alloc(maxFragmentsBytes);
  const behind = fragmenter.write(packet, 0, packet.length, out, 0);
  const fragments: Buffer[] = [];
  for (let at = 0; at < behind; at += mtu) fragments.push(Buffer.from(out.subarray(at, Math.min(behind, at + mtu))));
  return fragments;
}

/** What the other one makes of it. */
export function otherFragmentsOf(
  fragmenter: OtherFragmenter,
  packet: Buffer,
  mtu: number,
  fields: Partial<LpPacket> = {},
) {
  const whole = Object.assign(new LpPacket(), fields, { payload: packet });
  return fragmenter.fragment(whole, mtu).map(wireOf);
}

/** Hand a datagram over; a copy of what that completes, if anything. */
export function accept(reassembler: Reassembler, datagram: Buffer, peer = 0): Buffer | undefined {
  if (!view.read(datagram, 0, datagram.length)) return undefined;
  if (view.isFragment && !reassembler.accept(view, peer)) return undefined;
  return Buffer.from(view.buf.subarray(view.start, view.end));
}
