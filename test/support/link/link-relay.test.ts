import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PacketScanner } from "#ndn/packet/packet-view.ts";
import { until } from "../until.ts";
import { type LinkOptions, type LinkRelay, startLinkRelay } from "./link-relay.ts";

let owned: AsyncDisposableStack;
let server: Server;
let relay: LinkRelay;
/** Both ends of the one connection through the relay. */
let near: Socket;
let far: Socket;

beforeEach(() => {
  owned = new AsyncDisposableStack();
});

afterEach(() => owned.disposeAsync());

async function connectThrough(down: LinkOptions, isAlone = false): Promise<void> {
  server = createServer();
  owned.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const connected = once(server, "connection") as Promise<[Socket]>;
  const address = { host: "127.0.0.1", port: 0 };
  const target = { ...address, port: (server.address() as AddressInfo).port };
  relay = owned.use(await startLinkRelay({ listen: address, target, up: {}, down, seed: 1, isAlone }));
  near = connect(relay.port, "127.0.0.1").on("error", () => undefined);
  [far] = await connected;
  far.on("error", () => undefined);
  owned.defer(() => void near.destroy());
  owned.defer(() => void far.destroy());
}

/** A packet with a number in it. */
function packet(number: number, bytes = 1_000): Buffer {
  const buf = Buffer.alloc(bytes, number);
  buf.writeUInt32BE(0x06fd0000 + bytes - 4);
  buf.writeUInt32BE(number, 4);
  return buf;
}

/** Numbers of the packets that arrive, in order, as they arrive. */
function numbersAt(socket: Socket): number[] {
  const numbers: number[] = [];
  const scanner = new PacketScanner((buf, start, end) => {
    expect(buf.subarray(start + 8, end).every((byte) => byte === buf[end - 1])).toBe(true);
    numbers.push(buf.readUInt32BE(start + 4));
  }, 8_800);
  socket.on("data", (chunk) => scanner.push(chunk as Buffer));
  return numbers;
}

const count = 2_000;
const sent = Array.from({ length: count }, (_, number) => number);

test.each([true, false])("packets arrive whole and in order, not before their time (alone: %s)", async (isAlone) => {
  await connectThrough({ delayMs: 20, bitsPerSecond: 160_000_000, queueBytes: 10_000_000 }, isAlone);
  const numbers = numbersAt(near);
  const startedAtMs = performance.now();
  far.write(Buffer.concat(sent.map((number) => packet(number))));
  await until("all packets", () => numbers.length === count);
  expect(performance.now() - startedAtMs).toBeGreaterThan((count * 8_000) / 160_000 + 20);
  expect(numbers).toEqual(sent);
});

test("some packets are overtaken, none is lost, and jitter overtakes none", async () => {
  await connectThrough({ delayMs: 2, jitterMs: 5, reordering: 0.1 });
  const numbers = numbersAt(near);
  far.write(Buffer.concat(sent.map((number) => packet(number))));
  await until("all packets", () => numbers.length === count);
  expect(numbers).not.toEqual(sent);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(sent);
  relay.down = { delayMs: 2, jitterMs: 5 };
  numbers.length = 0;
  far.write(Buffer.concat(sent.map((number) => packet(number))));
  await until("all packets again", () => numbers.length === count);
  expect(numbers).toEqual(sent);
});

test("what finds the queue full is dropped and counted, and the rest comes", async () => {
  await connectThrough({ bitsPerSecond: 8_000_000, queueBytes: 10_000, queuePackets: 100 });
  const numbers = numbersAt(near);
  far.write(Buffer.concat(sent.map((number) => packet(number))));
  await until("all packets", () => numbers.length + relay.counters.overflowed === count);
  expect(numbers.length).toBeGreaterThan(100);
  expect(relay.counters.overflowed).toBeGreaterThan(count / 2);
});

test("a receiver that does not read holds the sender back, and gets all when it reads again", async () => {
  await connectThrough({});
  near.pause();
  const large = 4_000;
  for (let number = 0; number < large; number++) far.write(packet(number, 8_000));
  let before = 0;
  await until("the relay to be full", () => {
    const { bytes } = relay.counters;
    const hasStopped = bytes > 0 && bytes === before;
    before = bytes;
    return hasStopped;
  });
  expect(relay.counters.bytes).toBeLessThan((large * 8_000 * 3) / 4); // sockets take some megabytes as well
  const numbers = numbersAt(near);
  near.resume();
  await until("all packets", () => numbers.length === large);
  expect(far.writableLength).toBe(0);
});
