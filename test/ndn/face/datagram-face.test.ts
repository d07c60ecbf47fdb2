import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { produce } from "@ndn/endpoint";
import { Forwarder } from "@ndn/fw";
import { L3Face } from "@ndn/l3face";
import { Fragmenter, LpPacket } from "@ndn/lp";
import { UdpTransport } from "@ndn/node-transport";
import { Data } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { expect, test } from "vitest";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { nameKey, parseName } from "#ndn/packet/name.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { up } from "../objects.ts";

const content = patternBlob(8000);

/** A bound socket that speaks to the peer that spoke to it first. */
async function bindPeer(): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { socket, port: (socket.address() as AddressInfo).port };
}

/** Everything that arrives on an uplink, as `type name`. */
function collect(uplink: SocketUplink): string[] {
  const arrived: string[] = [];
  const handler: PacketHandler = {
    accept(view) {
      const isData = view.type === TT.Data;
      arrived.push(`${isData ? "data" : "interest"} ${nameKey(view.buf, view.nameStart, view.nameEnd)}`);
      return true;
    },
  };
  uplink.addHandler(handler);
  return arrived;
}

function fragments(packet: Uint8Array): Uint8Array[] {
  const whole = Object.assign(new LpPacket(), { payload: packet });
  return new Fragmenter().fragment(whole, 1400).map((part) => Encoder.encode(part));
}

test("8 KB of Data are put together from the fragments of NDNts, which gets our Interest", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  const interests = new InterestClient(uplink);
  uplink.open();
  await up(uplink);
  const fw = Forwarder.create();
  const producer = produce("/A", async (interest) => new Data(interest.name, Data.FreshnessPeriod(1), content), { fw });
  const joined = once(socket, "message").then(async ([first, from]) => {
    await new Promise<void>((resolve) => socket.connect(from.port, from.address, resolve));
    const transport = await UdpTransport.connect(socket);
    fw.addFace(new L3Face(transport, {}, { mtu: 1400 }));
    socket.emit("message", first, from);
  });
  const limits = { rtoMs: 500, timeoutMs: 5_000 };
  const packet = await interests.express(parseName("/A/1"), limits, new AbortController().signal);
  await joined;
  expect(readSignedData(packet)!.content.equals(content)).toBe(true);
  uplink.close();
  producer.close();
  fw.close();
});

test("8 KB that are sent arrive whole", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  uplink.open();
  const face = await up(uplink);
  const packet = Encoder.encode(new Data("/A", content));
  const message = once(socket, "message");
  face.send(packet);
  face.send(packet);
  expect((await message)[0].equals(packet)).toBe(true);
  uplink.close();
  socket.close();
});

test("datagrams that are no packets, or broken fragments, neither arrive nor close the face", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  const arrived = collect(uplink);
  const downs: unknown[] = [];
  uplink.addListener({ onDown: (reason) => downs.push(reason) });
  uplink.open();
  const face = await up(uplink);
  const greeting = once(socket, "message");
  face.send(Encoder.encode(new Data("/hello")));
  const [, from] = await greeting;
  const [first, second] = fragments(Encoder.encode(new Data("/A", content))) as [Uint8Array, Uint8Array];
  const bad = [
    "00",
    "ff",
    "6400",
    "05",
    "0503",
    "64050301",
    "640353010252",
    "641a5208000000000000000152010053010250",
    "6407510101530102",
  ];
  for (const hex of bad) socket.send(Buffer.from(hex, "hex"), from.port, from.address);
  for (const part of [first, second]) {
    for (let at = 0; at < 24; at++) {
      const mutated = Buffer.from(part);
      mutated[at]! ^= 0xff;
      socket.send(mutated, from.port, from.address);
    }
  }
  socket.send(Encoder.encode(new Data("/B")), from.port, from.address);
  await until("the good packet", () => arrived.some((what) => what === `data ${nameKey(parseName("/B"))}`));
  expect(downs).toEqual([]);
  uplink.close();
  socket.close();
});
