import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { produce } from "@ndn/endpoint";
import { Forwarder } from "@ndn/fw";
import { L3Face } from "@ndn/l3face";
import { Fragmenter, LpPacket, Reassembler } from "@ndn/lp";
import { UdpTransport } from "@ndn/node-transport";
import { Data } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";
import { expect, test } from "vitest";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { usualMtu } from "#ndn/face/mtu.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { nameKey, parseName } from "#ndn/packet/name.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { up } from "../objects.ts";

const content = patternBlob(8000);

/** A bound socket that speaks to the peer that spoke to it first. */
async function bindPeer(at = 0): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket("udp4");
  socket.bind(at, "127.0.0.1");
  await once(socket, "listening");
  return { socket, port: (socket.address() as AddressInfo).port };
}

/** The packet that comes next, behind datagrams without one. */
async function nextPacket(socket: Socket): Promise<[Buffer, RemoteInfo]> {
  for (;;) {
    const [datagram, from] = (await once(socket, "message")) as [Buffer, RemoteInfo];
    if (datagram.length > 2) return [datagram, from];
  }
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
  const joined = nextPacket(socket).then(async ([first, from]) => {
    await new Promise<void>((resolve) => socket.connect(from.port, from.address, resolve));
    const transport = await UdpTransport.connect(socket);
    fw.addFace(new L3Face(transport, {}, { mtu: 1400 }));
    socket.emit("message", first, from);
  });
  const limits = { timeoutMs: 5_000 };
  const packet = await interests.express(parseName("/A/1"), limits, new AbortController().signal);
  await joined;
  expect(readSignedData(packet)!.content.equals(content)).toBe(true);
  uplink.close();
  producer.close();
  fw.close();
});

test("8 KB leave in datagrams of the usual size, which NDNts puts together", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  uplink.open();
  const face = await up(uplink);
  const packet = Encoder.encode(new Data("/A", content));
  const sizes: number[] = [];
  const whole: Buffer[] = [];
  const reassembler = new Reassembler(10);
  socket.on("message", (datagram) => {
    sizes.push(datagram.length);
    const { payload } = reassembler.accept(new Decoder(datagram).decode(LpPacket)) ?? {};
    if (payload) whole.push(Buffer.from(payload));
  });
  face.send(packet);
  face.send(packet);
  await until("both packets", () => whole.length === 2);
  for (const one of whole) expect(one.equals(packet)).toBe(true);
  expect(Math.max(...sizes)).toBe(usualMtu());
  uplink.close();
  socket.close();
});

test("an uplink to a port where no one listens is not up, and comes up when someone does", async () => {
  const { socket, port } = await bindPeer();
  await new Promise<void>((resolve) => socket.close(resolve));
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  const events: string[] = [];
  uplink.addListener({
    onUp: () => events.push("up"),
    onDown: () => events.push("down"),
    onConnectFailed: (reason) => events.push(reason.message),
  });
  uplink.open();
  await until("a second try", () => events.length === 2);
  expect(events).toEqual([expect.stringMatching(/ECONNREFUSED/), expect.stringMatching(/ECONNREFUSED/)]);
  const late = createSocket("udp4");
  late.bind(port, "127.0.0.1");
  await until("the uplink to be up", () => events.at(-1) === "up");
  late.close();
  await until("the uplink to be down again", () => {
    uplink.face?.send(encodeInterest(parseName("/A")));
    return events.includes("down");
  });
  uplink.close();
});

test("an uplink that is closed while it waits for a refusal is never up", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  const events: string[] = [];
  uplink.addListener({ onUp: () => events.push("up"), onConnectFailed: () => events.push("failed") });
  uplink.open();
  const [, from] = (await once(socket, "message")) as [Buffer, RemoteInfo];
  uplink.close();
  const { socket: next } = await until("its port to be free", () => bindPeer(from.port));
  next.close();
  expect(events).toEqual([]);
  socket.close();
});

test("an uplink by name, to IPv6, carries packets both ways", async () => {
  const peer = createSocket("udp6");
  peer.bind(0, "::1");
  await once(peer, "listening");
  const uplink = new SocketUplink(parseFaceUrl(`udp://[::1]:${(peer.address() as AddressInfo).port}`));
  const arrived = collect(uplink);
  uplink.open();
  const face = await up(uplink);
  const asked = nextPacket(peer);
  face.send(Encoder.encode(new Data("/A", content)));
  const [, from] = await asked;
  for (const part of fragments(Encoder.encode(new Data("/B", content)))) peer.send(part, from.port, from.address);
  await until("the packet", () => arrived.length === 1);
  expect(arrived).toEqual([`data ${nameKey(parseName("/B"))}`]);
  uplink.close();
  peer.close();
});

test("datagrams that are no packets, or broken fragments, neither arrive nor close the face", async () => {
  const { socket, port } = await bindPeer();
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${port}`));
  const arrived = collect(uplink);
  const downs: unknown[] = [];
  uplink.addListener({ onDown: (reason) => downs.push(reason) });
  uplink.open();
  const face = await up(uplink);
  const greeting = nextPacket(socket);
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
