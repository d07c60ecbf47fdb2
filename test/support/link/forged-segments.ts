import { setTimeout as delay } from "node:timers/promises";
import { LpService } from "@ndn/lp";
import { UnixTransport } from "@ndn/node-transport";
import { Component, Data, Interest, type Name, NameMap, nullSigner } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";
import { pushable } from "@ndn/util";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { randomBytesOf } from "../random-bytes.ts";
import { until } from "../until.ts";
import type { Mangle } from "./link.ts";

/** Which segments of which object are forged. */
export interface Forgery {
  /** Name of the object, without segment number. */
  readonly name: Name;
  readonly sizeBytes: number;
  /** Segment numbers. */
  readonly segments: readonly number[];
}

/** Data with the right names and the wrong content. */
export function forgedSegments({ name, sizeBytes, segments }: Forgery): Data[] {
  const last = Math.ceil(sizeBytes / segmentBytes) - 1;
  return segments.map((n) => {
    const payload = randomBytesOf(`forged ${n}`, n === last ? sizeBytes - last * segmentBytes : segmentBytes);
    const data = new Data(name.append(segment(n)), Data.FreshnessPeriod(86_400_000), payload);
    data.finalBlockId = segment(last);
    return data;
  });
}

/**
 * Put these Data, which nobody has asked for, into a forwarder's content store; they get a Null signature.
 *
 * The store answers with every one of them when this returns: a busy forwarder drops what it has no room for, and all
 * that it has not yet looked at when their face closes.
 *
 * @throws Error when one of them is not in the store after 30 s.
 */
export async function insert(socketPath: string, packets: readonly Data[]): Promise<void> {
  const transport = await UnixTransport.connect(socketPath);
  const sent = pushable<Uint8Array>();
  const sending = transport.tx(sent);
  const missing = new NameMap<Data>();
  const answers = (async () => {
    for await (const packet of new LpService({}, transport).rx(transport.rx)) {
      if (!("l3" in packet) || !(packet.l3 instanceof Data)) continue;
      const { name, content } = packet.l3;
      if (Buffer.compare(missing.get(name)?.content ?? unasked, content) === 0) missing.delete(name);
    }
  })();
  for (let from = 0; from < packets.length; from += batchPackets) {
    for (const data of packets.slice(from, from + batchPackets)) {
      await nullSigner.sign(data);
      missing.set(data.name, data);
    }
    await until("the forged packets in the store", () => missing.size === 0 || ask(), 30_000);
  }
  sent.stop();
  await sending;
  await answers;

  /** The question follows the packet on the same face, so the one in the store is the forged one, or was dropped. */
  async function ask(): Promise<boolean> {
    for (const [, data] of missing) sent.push(Encoder.encode(data));
    for (const [, data] of missing) sent.push(Encoder.encode(new Interest(data.name, Interest.Lifetime(500))));
    for (let waitedMs = 0; missing.size > 0 && waitedMs < 500; waitedMs += 5) await delay(5);
    return missing.size === 0;
  }
}

/** Few enough that a forwarder's queue takes them at once. */
const batchPackets = 64;
const unasked = Buffer.from("nothing like it was inserted");
/** A cache on a link that answers with these Data, and lets all other Interests pass; they get a Null signature. */
export async function cacheWith(packets: readonly Data[]): Promise<Mangle> {
  const cached = new NameMap<Uint8Array>();
  for (const data of packets) {
    await nullSigner.sign(data);
    cached.set(data.name, Encoder.encode(data));
  }
  const find = ({ name, canBePrefix }: Interest) =>
    cached.get(name) ?? (canBePrefix ? [...cached].find(([full]) => name.isPrefixOf(full))?.[1] : undefined);
  const view = new PacketView();
  return (packet) => {
    if (!view.read(packet, 0, packet.length) || view.type !== TT.Interest) return undefined;
    const wire = find(new Decoder(packet.subarray(view.start, view.end)).decode(Interest));
    if (!wire) return undefined;
    const token = packet.subarray(view.tokenStart, view.tokenEnd);
    const answer = token.length > 0 ? tlv(TT.LpPacket, tlv(TT.LpPitToken, token), tlv(TT.LpFragment, wire)) : wire;
    return { onward: [], back: [Buffer.from(answer)] };
  };
}

const segmentBytes = 8192;

/** `50=n` with the shortest NonNegativeInteger. */
function segment(n: number): Component {
  const value = Buffer.alloc(n < 0x100 ? 1 : 2);
  value.writeUIntBE(n, 0, value.length);
  return new Component(50, value);
}
