import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { lstat, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { PacketHandler } from "#ndn/face/face.ts";
import { FaceListener } from "#ndn/face/face-listener.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { parseName } from "#ndn/packet/name.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { unixUrl, up } from "../objects.ts";

const silent: PacketHandler = { accept: () => true };
const connectTimeoutMs = 5_000;

afterEach(() => vi.restoreAllMocks());

function watch(uplink: SocketUplink): string[] {
  const events: string[] = [];
  uplink.addListener({
    onUp: () => events.push("up"),
    onDown: (reason) => events.push(reason ? `down: ${reason.message}` : "closed"),
    onConnectFailed: () => events.push("failed"),
  });
  return events;
}

test("an uplink is tried again until someone listens, and comes back after a break", async () => {
  await using folder = await makeTemporaryFolder();
  const url = parseFaceUrl(unixUrl(folder.path));
  const uplink = new SocketUplink(url);
  const events = watch(uplink);
  uplink.open();
  await until("a failure", () => events.includes("failed"));
  const first = await FaceListener.listen(url, [silent]);
  await until("the uplink to be up", () => uplink.face !== undefined);
  await first.close();
  await until("the uplink to be down", () => uplink.face === undefined);
  const second = await FaceListener.listen(url, [silent]);
  await until("the uplink to be up again", () => uplink.face !== undefined);
  uplink.close();
  await until("the uplink to be closed", () => events.at(-1) === "closed");
  await second.close();
  expect(events.filter((event) => event === "up")).toHaveLength(2);
});

test("an uplink that is closed while it waits or connects stays closed", async () => {
  await using folder = await makeTemporaryFolder();
  const uplink = new SocketUplink(parseFaceUrl(unixUrl(folder.path)));
  const events = watch(uplink);
  uplink.open();
  uplink.close();
  await using listener = {
    listener: await FaceListener.listen(parseFaceUrl(unixUrl(folder.path)), [silent]),
    async [Symbol.asyncDispose]() {
      await this.listener.close();
    },
  };
  expect(uplink.face).toBeUndefined();
  expect(events).toEqual([]);
  expect(listener.listener.faceCount).toBe(0);
});

test("garbage closes the face, and only that one", async () => {
  const listener = await FaceListener.listen(parseFaceUrl("tcp://127.0.0.1:0"), [silent]);
  const uplink = new SocketUplink(parseFaceUrl(`tcp://127.0.0.1:${listener.port}`));
  uplink.open();
  await up(uplink);
  const stranger = connect(listener.port, "127.0.0.1");
  stranger.end("GET / HTTP/1.1\r\n\r\n");
  stranger.resume();
  await once(stranger, "close");
  await until("one face to be left", () => listener.faceCount === 1);
  expect(uplink.face).toBeDefined();
  uplink.close();
  await listener.close();
});

/** Listens on a unix socket and dies without removing it. */
const crash = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;

test("a listener takes over the socket file of a crash, never that of a living program", async () => {
  await using folder = await makeTemporaryFolder();
  const url = parseFaceUrl(unixUrl(folder.path));
  const living = await FaceListener.listen(url, [silent]);
  await expect(FaceListener.listen(url, [silent])).rejects.toThrow(/EADDRINUSE/);
  await living.close();
  const path = join(folder.path, "face.sock");
  spawnSync(process.execPath, ["-e", crash, path], { env: testEnvironment() });
  expect((await lstat(path)).isSocket()).toBe(true);
  const again = await FaceListener.listen(url, [silent]);
  await again.close();
});

test("a listener never removes a file that is not a socket", async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "face.sock");
  await writeFile(path, "precious");
  await expect(FaceListener.listen(parseFaceUrl(`unix://${path}`), [silent])).rejects.toThrow(/no socket/);
  expect((await lstat(path)).size).toBe(8);
});

test("a listener closes although a peer has stopped reading", async () => {
  const large = tlv(TT.Data, tlv(TT.Name, parseName("/A")), Buffer.alloc(8_000));
  let floods = 0;
  const flooding: PacketHandler = {
    accept(_, face) {
      for (floods = 0; floods < 3_000; floods++) face.send(large);
      return true;
    },
  };
  const listener = await FaceListener.listen(parseFaceUrl("tcp://127.0.0.1:0"), [flooding]);
  const stuck = connect(listener.port, "127.0.0.1");
  stuck.pause();
  stuck.on("error", () => undefined);
  stuck.write(encodeInterest(parseName("/A")));
  await until("the flood", () => floods === 3_000);
  const began = performance.now();
  await listener.close();
  expect(performance.now() - began).toBeLessThan(5_000);
  stuck.destroy();
});

test("an uplink that comes up and breaks again and again is tried with growing pauses", async () => {
  const server = createServer((socket) => socket.destroy());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const uplink = new SocketUplink(parseFaceUrl(`tcp://127.0.0.1:${port}`));
  const events = watch(uplink);
  const timers = vi.spyOn(globalThis, "setTimeout");
  uplink.open();
  await until("four attempts", () => events.filter((event) => event === "up").length >= 4);
  uplink.close();
  await new Promise((resolve) => server.close(resolve));
  const pauses = timers.mock.calls.map(([, ms]) => ms).filter((ms) => ms !== connectTimeoutMs);
  expect(pauses.slice(0, 3)).toEqual([200, 400, 800]);
});

test("a packet of the largest size with a link header passes, a larger one is dropped, and the face stays", async () => {
  await using folder = await makeTemporaryFolder();
  const url = parseFaceUrl(unixUrl(folder.path));
  const sizes: number[] = [];
  const handler: PacketHandler = { accept: (view) => sizes.push(view.end - view.start) > 0 };
  const listener = await FaceListener.listen(url, [handler]);
  const uplink = new SocketUplink(url);
  uplink.open();
  await until("the uplink to be up", () => uplink.face !== undefined);
  for (const bytes of [8800, 8801, 8000]) uplink.face!.send(withPitToken(interestOf(bytes)));
  await until("the last one", () => sizes.includes(8000));
  expect(sizes).toEqual([8800, 8000]);
  expect(listener.faceCount).toBe(1);
  uplink.close();
  await listener.close();
});

/** An Interest of exactly so many bytes. */
function interestOf(bytes: number): Buffer {
  const name = tlv(TT.Name, parseName("/A"));
  return tlv(TT.Interest, name, tlv(TT.ApplicationParameters, Buffer.alloc(bytes - 4 - name.length - 4)));
}

function withPitToken(packet: Buffer): Buffer {
  return tlv(TT.LpPacket, tlv(TT.LpPitToken, Buffer.alloc(8)), tlv(TT.LpFragment, packet));
}

test("what waits for a peer that does not read is bounded by what it is, not by the batches it came in", async () => {
  const server = createServer({ pauseOnConnect: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const uplink = new SocketUplink(parseFaceUrl(`tcp://127.0.0.1:${port}`));
  uplink.open();
  await until("the uplink to be up", () => uplink.face !== undefined);
  const before = process.memoryUsage().arrayBuffers;
  for (let turn = 0; turn < 2_000; turn++) {
    uplink.face!.send(interestOf(1_000));
    await Promise.resolve();
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  uplink.close();
  server.close();
});
