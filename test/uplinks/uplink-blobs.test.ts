import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, expect, type MockInstance, test, vi } from "vitest";
import { fromStart } from "#blob/source.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { FaceListener } from "#ndn/face/face-listener.ts";
import { type FaceUrl, type FchUrl, parseUplinkUrl } from "#ndn/face/face-url.ts";
import { FchUplink } from "#ndn/face/fch-uplink.ts";
import { parseName, startsWith } from "#ndn/packet/name.ts";
import { encodeNni, TT, tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash } from "#oci/reference.ts";
import { prefix, type Serving, serve } from "#test/publish/serving.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

const repository = "team/app";
const dead = parseName("/dead/registry");
const digest = digestOfHash(Buffer.alloc(32, 7));
let registry: TestRegistry;
let serving: Serving;
let router: FaceListener;
let uplink: FchUplink;
let leaveRouter: MockInstance<FchUplink["leaveRouter"]>;
let blobs: UplinkBlobs;

/** A router with a route to the server, and none to the other registry. */
const routes: PacketHandler = {
  accept(view, face) {
    const name = view.buf.subarray(view.nameStart, view.nameEnd);
    if (!startsWith(name, dead)) return serving.server.producer.accept(view, face);
    const interest = view.buf.subarray(view.start, view.end);
    const noRoute = tlv(TT.Nack, tlv(0x0321, encodeNni(150)));
    face.send(tlv(TT.LpPacket, noRoute, tlv(TT.LpFragment, interest)));
    return true;
  },
};

beforeAll(async () => {
  registry = await startRegistry();
  serving = await serve(registry);
});
afterAll(async () => {
  await serving[Symbol.asyncDispose]();
  await registry.close();
});

beforeEach(async () => {
  router = await FaceListener.listen(parseUplinkUrl("tcp://127.0.0.1:0") as FaceUrl, [routes]);
  const service = createServer((_request, response) => response.end(`127.0.0.1:${router.port}`));
  await once(service.listen(0, "127.0.0.1"), "listening");
  uplink = new FchUplink(parseUplinkUrl(`fch:http://127.0.0.1:${(service.address() as AddressInfo).port}`) as FchUrl);
  leaveRouter = vi.spyOn(uplink, "leaveRouter").mockImplementation(() => {});
  blobs = new UplinkBlobs([uplink], { maxWindow: 64 }, pino({ level: "silent" }));
  return async () => {
    blobs.close();
    await router.close();
    service.closeAllConnections();
    await new Promise((resolve) => service.close(resolve));
  };
});

/** Begin to connect, after the registries are known. */
async function open(): Promise<void> {
  blobs.open();
  await until("the uplink to be up", () => uplink.face);
}

type Registry = ReturnType<UplinkBlobs["under"]>;

/** Two reads that fail: the path backs off for the registry. */
async function failTwice(from: Registry): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const [path] = from.paths().first;
    await expect(path!.open({ repository, digest }, fromStart, AbortSignal.timeout(5_000))).rejects.toThrow("no route");
  }
  expect(blobs.states()[0]!.isResting).toBe(true);
}

/** A read that has begun. */
async function begin(from: Registry) {
  const blob = { repository, digest: registry.addBlob(repository, patternBlob(1_000_000)) };
  const [path] = from.paths().first;
  const { chunks } = await path!.open(blob, fromStart, AbortSignal.timeout(5_000));
  return chunks;
}

test("a router that is found and does not answer the only registry is left", async () => {
  const only = blobs.under(dead);
  await open();
  await failTwice(only);
  expect(leaveRouter).toHaveBeenCalledOnce();
});

test("a registry that does not answer does not take the router from one that is being read, or was just now", async () => {
  const [one, other] = [blobs.under(dead), blobs.under(prefix)];
  await open();
  const chunks = await begin(other);
  await failTwice(one);
  expect(leaveRouter).not.toHaveBeenCalled();
  let sizeBytes = 0;
  for await (const chunk of chunks) sizeBytes += chunk.length;
  expect(sizeBytes).toBe(1_000_000);
});

test("the router is left when its paths of all registries back off, and does not stay for one that no one reads", async () => {
  const [one, other] = [blobs.under(dead), blobs.under(parseName("/dead/registry/too"))];
  blobs.under(prefix);
  await open();
  await failTwice(one);
  await failTwice(other);
  expect(leaveRouter).toHaveBeenCalledTimes(2);
});
