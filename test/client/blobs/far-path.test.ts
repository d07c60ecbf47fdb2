import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { prefix, type Serving, serve } from "#test/publish/serving.ts";
import { startByteRelay } from "#test/support/link/byte-relay.ts";
import type { Mangle } from "#test/support/link/link.ts";
import { type LinkRelay, startLinkRelay } from "#test/support/link/link-relay.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import { ask, type Endpoint, startEndpoint } from "../endpoint.ts";

/** One way, as over a satellite. */
const delayMs = 300;
let owned: AsyncDisposableStack;
let registry: TestRegistry;
let serving: Serving;
let relay: LinkRelay;
let blobs: UplinkBlobs;

beforeEach(async () => {
  owned = new AsyncDisposableStack();
  registry = await startRegistry();
  owned.defer(() => registry.close());
  serving = owned.use(await serve(registry));
});
afterEach(() => owned.disposeAsync());

/** A client that is far away from the server, and from the registry if so. */
async function client(isUpstreamFar: boolean): Promise<Endpoint> {
  const folder = owned.use(await makeTemporaryFolder()).path;
  const [near, far] = [join(folder, "relay.sock"), join(folder, "server.sock")];
  await serving.server.listen(parseFaceUrl(`unix://${far}`));
  const [up, down] = [{ delayMs }, { delayMs }];
  relay = owned.use(await startLinkRelay({ listen: near, target: far, up, down, seed: 1 }));
  const uplink = new SocketUplink(parseFaceUrl(`unix://${near}`));
  blobs = new UplinkBlobs([uplink], { maxWindow: 512 }, pino({ level: "silent" }));
  owned.defer(() => blobs.close());
  const ndn = blobs.under(prefix);
  blobs.open();
  await until("the face", () => uplink.face);
  const targetPort = Number(registry.url.port);
  const tcp = owned.use(await startByteRelay({ targetPort, up, down }));
  const upstream = isUpstreamFar ? new URL(`http://127.0.0.1:${tcp.port}/`) : registry.url;
  return owned.use(await startEndpoint(upstream, ndn, { authorize: "upstream" }));
}

async function pull({ url }: Endpoint, seed: number) {
  const bytes = patternBlob(300_000, seed);
  const digest = registry.addBlob("team/app", bytes);
  const answer = await ask(url, `/v2/team/app/blobs/${digest}`);
  expect(answer.body.equals(bytes)).toBe(true);
  return answer.headers["x-blob-source"];
}

test.each([
  ["as far away", true],
  ["near", false],
])("the first blobs over a path of 600 ms are not given up where the upstream is %s", async (_, isUpstreamFar) => {
  const endpoint = await client(isUpstreamFar);
  for (const seed of [1, 2, 3]) expect(await pull(endpoint, seed)).toBe("ndn");
  expect(blobs.states()[0]!.isResting).toBe(false);
});

test.each(["metadata", "a segment"])("nor when the first packet with %s is lost", async (what) => {
  const endpoint = await client(true);
  let lost = 0;
  const mangle: Mangle = (packet) => {
    const isOne = what === "metadata" ? packet.includes("metadata") : packet.length > 8_000;
    return isOne && lost++ === 0 ? { onward: [] } : undefined;
  };
  relay.down = { delayMs, mangle };
  expect(await pull(endpoint, 4)).toBe("ndn");
  expect(lost).toBeGreaterThan(0);
});

test("where no one answers the upstream is asked after a second", async () => {
  const endpoint = await client(false);
  relay.down = { loss: 1 };
  const began = performance.now();
  expect(await pull(endpoint, 5)).toBe("upstream");
  expect(performance.now() - began).toBeLessThan(1_900); // before metadata is given up
});
