/**
 * `npm run walk`: which of our files and functions one cold GET of a blob runs through, from the puller's request to
 * the registry and back. Both halves run in this process, joined by a direct TCP face, without an anchor and with a store;
 * V8 counts what is called.
 *
 *     npm run walk -- --list
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { Session } from "node:inspector/promises";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pino from "pino";
import { Registry } from "prom-client";
import { createClientApp } from "#client/app.ts";
import { singleRegistry } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { parseName } from "#ndn/packet/name.ts";
import { openIdentity } from "#ndn/trust/keychain.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { BlobServer } from "#server/server.ts";
import { BlobStore } from "#store/blob-store.ts";
import { freePort } from "#test/support/free-port.ts";
import { patternBlob, startRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

const sizeBytes = 24 * 1024 * 1024;
const root = new URL("../", import.meta.url).href;

if (process.argv[2] === "registry") {
  const registry = await startRegistry();
  const digest = registry.addBlob("team/walk", patternBlob(sizeBytes, 1));
  process.send!({ url: registry.url.href, digest });
} else await main();

async function main() {
  const child = fork(fileURLToPath(import.meta.url), ["registry"]);
  const [{ url, digest }] = (await once(child, "message")) as [{ url: string; digest: string }];
  await using owned = new AsyncDisposableStack();
  const { path } = owned.use(await makeTemporaryFolder());
  const prefix = parseName("/walk/images");
  const face = parseFaceUrl(`tcp://127.0.0.1:${await freePort()}`);
  const log = pino({ level: "silent" });
  const base = new URL(url);
  const serverRegistry = new RegistryClient({ base });
  await BlobServer.start({
    prefix,
    identity: await openIdentity(path, prefix),
    registry: serverRegistry,
    storage: undefined,
    publish: [],
    exclude: [],
    uplinks: [],
    faces: [face],
    segmentBytes: 8192,
    stateDirectory: undefined,
    log,
    metrics: new Registry(),
  });
  const ndn = new UplinkBlobs([new SocketUplink(face)], { maxWindow: 512, stallTimeoutMs: undefined }, log);
  const { default: name, registries } = singleRegistry({ upstream: base, name: prefix });
  const registry = new RegistryClient({ base });
  const client = await createClientApp({
    mirrors: new Map([[name, { config: registries.get(name)!, registry, ndn: ndn.under(prefix) }]]),
    defaultRegistry: name,
    log,
    metrics: createClientMetrics(new Registry()),
    readiness: () => ({ ready: true, missing: [] }),
    store: await BlobStore.open({ directory: `${path}/cache`, maxBytes: 1e9, log }),
  });
  await client.app.listen({ port: 0, host: "127.0.0.1" });
  ndn.open();
  await until("uplink", async () => ndn.isUp);
  const { port } = client.app.server.address() as AddressInfo;
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  await session.post("Profiler.takePreciseCoverage");
  const sent = get(`http://127.0.0.1:${port}/v2/team/walk/blobs/${digest}`, { agent: false });
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  let bytes = 0;
  for await (const piece of answer) bytes += (piece as Buffer).length;
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const source = String(answer.headers["x-blob-source"]);
  if (bytes !== sizeBytes || source !== "ndn") throw new Error(`${bytes} bytes from ${source}`);
  const files = new Map<string, string[]>();
  for (const { url, functions } of result) {
    if (!url.startsWith(root)) continue;
    const file = url.slice(root.length);
    if (/^(node_modules|test|bench)\//.test(file)) continue;
    const called = functions.filter((f) => f.ranges[0]!.count > 0).map((f) => f.functionName || "(anonymous)");
    if (called.length > 0) files.set(file, called);
  }
  const { values } = parseArgs({ options: { list: { type: "boolean", default: false } } });
  const listed = values.list ? [...files].sort(([a], [b]) => (a < b ? -1 : 1)) : [];
  for (const [file, names] of listed) console.log(file, names.length, names.join(" "));
  const rooms = new Map<string, [number, number]>();
  for (const [file, names] of files) {
    const room = file.split("/")[0]!;
    const [f, n] = rooms.get(room) ?? [0, 0];
    rooms.set(room, [f + 1, n + names.length]);
  }
  for (const [room, [f, n]] of rooms) console.log(`${room}: ${f} files, ${n} functions`);
  console.log(`${files.size} files, ${[...files.values()].reduce((n, names) => n + names.length, 0)} functions`);
  child.kill();
  process.exit(0);
}
