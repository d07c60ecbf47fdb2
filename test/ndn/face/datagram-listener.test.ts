/** Faces over UDP, for peers that come and go. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Fragmenter, LpPacket, Reassembler } from "@ndn/lp";
import { Decoder, Encoder } from "@ndn/tlv";
import { afterEach, expect, test, vi } from "vitest";
import { type AcceptedFaces, type AcceptOptions, acceptFaces } from "#ndn/face/accept-faces.ts";
import type { Face, PacketHandler } from "#ndn/face/face.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { usualMtu } from "#ndn/face/mtu.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { parseName } from "#ndn/packet/name.ts";
import type { PacketView } from "#ndn/packet/packet-view.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { until } from "#test/support/until.ts";

const idleMs = 600_000;
const owned: AsyncDisposable[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A listener that answers each Interest with 8 KB under its name, and counts faces that have spoken. */
class Echo implements PacketHandler {
  readonly faces: Face[] = [];

  accept({ buf, nameStart, nameEnd, tokenStart, tokenEnd }: PacketView, face: Face): boolean {
    this.faces.push(face);
    const name = tlv(TT.Name, buf.subarray(nameStart, nameEnd));
    const data = tlv(TT.Data, name, tlv(TT.Content, Buffer.alloc(8_000, buf[nameEnd - 1])));
    const token = tlv(TT.LpPitToken, buf.subarray(tokenStart, tokenEnd));
    face.send(tokenEnd > tokenStart ? tlv(TT.LpPacket, token, tlv(TT.LpFragment, data)) : data);
    return true;
  }
}

async function listen(handler: PacketHandler, options: AcceptOptions = {}, host = "127.0.0.1"): Promise<AcceptedFaces> {
  const listener = await acceptFaces(parseFaceUrl(`udp://${host}:0`), [handler], options);
  owned.push({ [Symbol.asyncDispose]: () => listener.close() });
  return listener;
}

/** Someone who asks and puts together what comes. */
async function join(listener: AcceptedFaces, host = "127.0.0.1") {
  const socket: Socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.connect(listener.port, host);
  await once(socket, "connect");
  owned.push({ [Symbol.asyncDispose]: async () => void socket.close() });
  const reassembler = new Reassembler(10);
  const sizes: number[] = [];
  const packets: LpPacket[] = [];
  socket.on("message", (datagram) => {
    sizes.push(datagram.length);
    const whole = reassembler.accept(new Decoder(datagram).decode(LpPacket));
    if (whole) packets.push(whole);
  });
  return {
    socket,
    sizes,
    packets,
    async ask(uri: string, pitToken?: Uint8Array): Promise<LpPacket> {
      const before = packets.length;
      const interest = Object.assign(new LpPacket(), { payload: encodeInterest(parseName(uri)), pitToken });
      socket.send(Encoder.encode(interest));
      return until("the answer", () => packets[before]);
    },
  };
}

test.each([[500], [1_280], [undefined]])(
  "with an MTU of %j no datagram is larger, and each has the PIT token",
  async (mtu) => {
    const listener = await listen(new Echo(), mtu === undefined ? {} : { mtu });
    const peer = await join(listener);
    const tokens: unknown[] = [];
    peer.socket.on("message", (datagram) => tokens.push(new Decoder(datagram).decode(LpPacket).pitToken?.length));
    const { payload, pitToken } = await peer.ask("/A/7", Buffer.from("my token"));
    expect(payload!.length).toBeGreaterThan(8_000);
    expect(Buffer.from(pitToken!).toString()).toBe("my token");
    expect(Math.max(...peer.sizes)).toBe(mtu ?? usualMtu());
    expect(new Set(tokens)).toEqual(new Set([8]));
  },
);

test("each of many peers gets its own answers, whose faces are kept apart", async () => {
  const echo = new Echo();
  const listener = await listen(echo);
  const peers = await Promise.all(Array.from({ length: 20 }, () => join(listener)));
  const answers = await Promise.all(peers.map((peer, index) => peer.ask(`/A/${index}`)));
  for (const [index, { payload }] of answers.entries()) {
    expect(Buffer.from(payload!).includes(encodeInterest(parseName(`/A/${index}`)).subarray(2, -12))).toBe(true);
  }
  expect(listener.faceCount).toBe(20);
  expect(new Set(echo.faces).size).toBe(20);
});

test("with all places taken a new peer gets that of the one that was silent for longest, which may come again", async () => {
  const echo = new Echo();
  const listener = await listen(echo, { maxFaces: 2 });
  const [first, second, third] = [await join(listener), await join(listener), await join(listener)];
  for (const peer of [first, second, first, third]) await peer.ask("/A");
  expect(listener.faceCount).toBe(2);
  expect(echo.faces.map(({ isGone }) => isGone)).toEqual([false, true, false, false]);
  await second.ask("/A");
  expect(echo.faces.map(({ isGone }) => isGone)).toEqual([true, true, true, false, false]);
});

test("a peer that says nothing for ten minutes is forgotten, one that speaks is not", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const echo = new Echo();
  const listener = await listen(echo);
  const [quiet, other] = [await join(listener), await join(listener)];
  for (const peer of [quiet, other]) await peer.ask("/A");
  vi.advanceTimersByTime(idleMs);
  expect(listener.faceCount).toBe(2);
  await other.ask("/A");
  vi.advanceTimersByTime(idleMs);
  expect(listener.faceCount).toBe(1);
  await other.ask("/A");
  await quiet.ask("/A");
  expect(new Set(echo.faces).size).toBe(3);
});

test("garbage and datagrams without a packet make no face", async () => {
  const echo = new Echo();
  const listener = await listen(echo);
  const [stranger, peer] = [await join(listener), await join(listener)];
  for (const hex of ["", "00", "6400", "ff", "0503", "474554202f20", "64050301", "640353010252"]) {
    stranger.socket.send(Buffer.from(hex, "hex"));
  }
  await peer.ask("/A");
  expect(listener.faceCount).toBe(1);
});

test("fragments of Interests of many peers may be mixed", async () => {
  const echo = new Echo();
  const listener = await listen(echo);
  const large = (uri: string) =>
    tlv(TT.Interest, tlv(TT.Name, parseName(uri)), tlv(TT.ApplicationParameters, Buffer.alloc(3_000)));
  const peers = await Promise.all(Array.from({ length: 5 }, () => join(listener)));
  const parts = peers.map((_, index) =>
    new Fragmenter().fragment(Object.assign(new LpPacket(), { payload: large(`/A/${index}`) }), 1_400),
  );
  for (const part of parts[0]!.keys()) {
    for (const [index, { socket }] of peers.entries()) socket.send(Encoder.encode(parts[index]![part]!));
  }
  await until("all answers", () => peers.every(({ packets }) => packets.length === 1));
  expect(echo.faces).toHaveLength(5);
});

test("10,000 mutated datagrams of eight strangers stop no one, and leave little behind", async () => {
  const echo = new Echo();
  const listener = await listen(echo, { maxFaces: 4 });
  const peer = await join(listener);
  const strangers = await Promise.all(Array.from({ length: 8 }, () => join(listener)));
  for (const { socket } of strangers) socket.removeAllListeners("message");
  const [random, fragmenter] = [seededRandom(4), new Fragmenter()];
  const below = (limit: number) => Math.floor(random() * limit);
  const interest = encodeInterest(parseName("/A"));
  const large = Object.assign(new LpPacket(), { payload: Buffer.alloc(5_000, 5) });
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 10_000; n++) {
    const parts = n % 2 ? fragmenter.fragment(large, 1_400).map((part) => Encoder.encode(part)) : [interest];
    const datagram = Buffer.from(parts[below(parts.length)]!);
    for (let flips = below(4); flips > 0; flips--) datagram[below(Math.min(40, datagram.length))]! ^= 1 << below(8);
    strangers[below(strangers.length)]!.socket.send(datagram.subarray(0, datagram.length - (n % 5 ? 0 : below(30))));
    if (n % 200 === 0) await peer.ask("/A"); // whose answer also says that the socket has been read
  }
  expect((await peer.ask("/A")).payload!.length).toBeGreaterThan(8_000);
  expect(listener.faceCount).toBeLessThanOrEqual(4);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
});

test("one listener takes IPv4 and IPv6", async () => {
  const listener = await listen(new Echo(), {}, "[::]");
  for (const host of ["127.0.0.1", "::1"]) {
    const { payload } = await (await join(listener, host)).ask("/A");
    expect(payload!.length).toBeGreaterThan(8_000);
  }
  expect(listener.faceCount).toBe(2);
});

test("a port that is taken is an error, and closed faces send nothing", async () => {
  const echo = new Echo();
  const listener = await listen(echo);
  await expect(acceptFaces(parseFaceUrl(`udp://127.0.0.1:${listener.port}`), [echo])).rejects.toThrow(/EADDRINUSE/);
  const { port } = listener;
  const peer = await join(listener);
  await peer.ask("/A");
  await listener.close();
  const [face] = echo.faces;
  expect(face!.isGone).toBe(true);
  face!.send(Buffer.alloc(100));
  const free = createSocket("udp4").bind(port, "127.0.0.1");
  await once(free, "listening");
  free.close();
});
