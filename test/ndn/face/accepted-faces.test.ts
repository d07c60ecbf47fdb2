/** Peers that take up places and memory of a listener and do nothing with them. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Face, PacketHandler } from "#ndn/face/face.ts";
import { FaceListener } from "#ndn/face/face-listener.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { parseName } from "#ndn/packet/name.ts";
import { until } from "#test/support/until.ts";

const lookMs = 5_000;
const stuckLooks = 6;
const interest = encodeInterest(parseName("/test"));
/** More than the kernel holds for a peer that does not read. */
const manyBytes = 32 * 1024 * 1024;
const owned: Socket[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of owned.splice(0)) socket.destroy();
});

/** A listener, and peers that connect to it. */
async function listen(handler: PacketHandler, maxFaces: number) {
  const listener = await FaceListener.listen(parseFaceUrl("tcp://127.0.0.1:0"), [handler], { maxFaces });
  return {
    listener,
    /** Connect, and resolve when the listener has decided. */
    async join(): Promise<Socket> {
      const socket = connect(listener.port, "127.0.0.1").on("error", () => undefined);
      owned.push(socket);
      await once(socket, "connect");
      return socket;
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

/** Counts packets, and sends so many bytes to the peer that sends one. */
class Counting implements PacketHandler {
  packets = 0;
  private readonly floodBytes: number;

  constructor(floodBytes = 0) {
    this.floodBytes = floodBytes;
  }

  accept(_view: unknown, face: Face): boolean {
    this.packets++;
    for (let bytes = 0; bytes < this.floodBytes; bytes += 8192) face.send(Buffer.alloc(8192));
    return true;
  }
}

/** Ask for something, and read nothing of it. */
async function joinUnread(peers: { join(): Promise<Socket> }, handler: Counting): Promise<Socket> {
  const socket = (await peers.join()).pause();
  await speak(socket, handler);
  return socket;
}

/** Say something, and wait until it is heard. */
async function speak(socket: Socket, handler: Counting): Promise<void> {
  const before = handler.packets;
  socket.write(interest);
  await until("the Interest to arrive", () => handler.packets > before);
}

test("with all places taken, a new face gets that of the one that has been idle for longest", async () => {
  const handler = new Counting();
  await using peers = await listen(handler, 3);
  const [first, longest, late] = [await peers.join(), await peers.join(), await peers.join()];
  await until("three faces", () => peers.listener.faceCount === 3);
  vi.advanceTimersByTime(2 * lookMs);
  await speak(first, handler);
  await speak(late, handler);
  vi.advanceTimersByTime(lookMs);
  const closed = once(longest.resume(), "close");
  const newcomer = await peers.join();
  await closed;
  await speak(newcomer, handler);
  await speak(first, handler);
  await speak(late, handler);
  expect(peers.listener.faceCount).toBe(3);
});

test("a face that has just spoken does not give its place away", async () => {
  const handler = new Counting();
  await using peers = await listen(handler, 1);
  const socket = await peers.join();
  await until("a face", () => peers.listener.faceCount === 1);
  vi.advanceTimersByTime(10 * lookMs);
  await speak(socket, handler);
  const refused = await peers.join();
  await once(refused.resume(), "close");
  await speak(socket, handler);
  expect(peers.listener.faceCount).toBe(1);
});

test("while there is room, a face that is merely idle stays", async () => {
  const handler = new Counting();
  await using peers = await listen(handler, 2);
  const socket = await peers.join();
  await speak(socket, handler);
  vi.advanceTimersByTime(1_000 * lookMs);
  const other = await peers.join();
  await speak(other, handler);
  await speak(socket, handler);
  expect(peers.listener.faceCount).toBe(2);
});

test("a face that asks and does not read is closed after half a minute, even if it continues asking", async () => {
  const handler = new Counting(manyBytes);
  await using peers = await listen(handler, 2);
  const socket = await joinUnread(peers, handler);
  for (let look = 0; look < stuckLooks; look++) {
    expect(peers.listener.faceCount).toBe(1);
    vi.advanceTimersByTime(lookMs);
    socket.write(interest);
  }
  vi.advanceTimersByTime(lookMs); // the first look may have seen the kernel take some
  expect(peers.listener.faceCount).toBe(0);
});

test("a face that reads slowly stays", async () => {
  const handler = new Counting(manyBytes);
  await using peers = await listen(handler, 2);
  const socket = await joinUnread(peers, handler);
  let [bytes, enough] = [0, 0];
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes >= enough) socket.pause();
  });
  for (let round = 0; round < 3 * stuckLooks; round++) {
    vi.advanceTimersByTime(lookMs);
    enough = bytes + 1024 * 1024;
    socket.resume();
    await until("the peer to read on", () => bytes >= enough);
  }
  expect(bytes).toBeLessThan(manyBytes);
  expect(peers.listener.faceCount).toBe(1);
});
