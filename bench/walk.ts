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
import type { Profiler } from "node:inspector";
import { Session } from "node:inspector/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pino from "pino";
import { Registry } from "prom-client";
import { openClient } from "#client/client.ts";
import { singleRegistry } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { parseName } from "#ndn/packet/name.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { createServer } from "#server/create-server.ts";
import { BlobStore } from "#store/blob-store.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { freePort } from "#test/support/free-port.ts";
import { patternBlob, startRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

const sizeBytes = 24 * 1024 * 1024;
const root = new URL("../", import.meta.url).href;

/** One file: its path in the checkout, and the functions in it that were called. */
type Walked = readonly [file: string, functions: readonly string[]];

if (process.argv[2] === "registry") await serveRegistry();
else await main();

/** The registry in a process of its own, so that its code is not counted. */
async function serveRegistry(): Promise<void> {
  const registry = await startRegistry();
  const digest = registry.addBlob("team/walk", patternBlob(sizeBytes, 1));
  process.send!({ url: registry.url.href, digest });
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { list: { type: "boolean", default: false } } });
  const child = fork(fileURLToPath(import.meta.url), ["registry"], { env: testEnvironment() });
  const [{ url, digest }] = (await once(child, "message")) as [{ url: string; digest: string }];
  await using owned = new AsyncDisposableStack();
  const endpoint = await startBothHalves(new URL(url), owned.use(await makeTemporaryFolder()).path);
  const walked = await walkedBy(() => getBlob(`${endpoint}/v2/team/walk/blobs/${digest}`));
  if (values.list) for (const [file, functions] of walked) console.log(file, functions.length, functions.join(" "));
  printRooms(walked);
  child.kill();
  await owned.disposeAsync();
  process.exit(0); // both halves are open still
}

/** Start server and client in front of a registry; resolves with the client's address when its uplink is up. */
async function startBothHalves(base: URL, path: string): Promise<string> {
  const prefix = parseName("/walk/images");
  const face = parseFaceUrl(`tcp://127.0.0.1:${await freePort()}`);
  const log = pino({ level: "silent" });
  await createServer({
    prefix,
    keychain: path,
    exportAnchor: undefined,
    registry: { base },
    storage: undefined,
    publish: [],
    exclude: [],
    publishCatalog: false,
    uplinks: [],
    faces: [face],
    segmentBytes: 8192,
    memoryBytes: 64 * 1024 * 1024,
    stateDirectory: undefined,
    status: undefined,
    log,
    metrics: new Registry(),
  });
  const ndn = new UplinkBlobs([new SocketUplink(face)], { maxWindow: 512, stallTimeoutMs: undefined }, log);
  const { default: name, registries } = singleRegistry({ upstream: base, name: prefix });
  const registry = new RegistryClient({ base });
  const client = await openClient({
    mirrors: new Map([[name, { config: registries.get(name)!, registry, ndn: ndn.under(prefix) }]]),
    defaultRegistry: name,
    listen: [{ host: "127.0.0.1", port: 0 }],
    log,
    metrics: createClientMetrics(new Registry()),
    readiness: () => ({ ready: true, missing: [] }),
    store: await BlobStore.open({ directory: `${path}/cache`, maxBytes: 1e9, log }),
  });
  ndn.open();
  await until("uplink", async () => ndn.isUp);
  return client.url;
}

/** @throws Error unless the whole blob comes over NDN. */
async function getBlob(url: string): Promise<void> {
  const [response] = (await once(get(url, { agent: false }), "response")) as [IncomingMessage];
  let bytes = 0;
  for await (const piece of response) bytes += (piece as Buffer).length;
  const source = String(response.headers["x-blob-source"]);
  if (bytes !== sizeBytes || source !== "ndn") throw new Error(`${bytes} bytes from ${source}`);
}

/** Which of our functions are called while `work` runs, in the order of the files' names. */
async function walkedBy(work: () => Promise<void>): Promise<Walked[]> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  await session.post("Profiler.takePreciseCoverage"); // the counters start anew
  await work();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  return result
    .filter(({ url }) => url.startsWith(root))
    .map(({ url, functions }): Walked => [url.slice(root.length), functions.filter(wasCalled).map(nameOf)])
    .filter(([file, functions]) => isOurs(file) && functions.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function wasCalled({ ranges }: Profiler.FunctionCoverage): boolean {
  return ranges[0]!.count > 0;
}

function nameOf({ functionName }: Profiler.FunctionCoverage): string {
  return functionName || "(anonymous)";
}

function isOurs(file: string): boolean {
  return !/^(?:node_modules|test|bench)\//.test(file);
}

function printRooms(walked: readonly Walked[]): void {
  for (const [room, files] of Map.groupBy(walked, ([file]) => file.split("/")[0]!))
    console.log(`${room}: ${files.length} files, ${countFunctions(files)} functions`);
  console.log(`${walked.length} files, ${countFunctions(walked)} functions`);
}

function countFunctions(walked: readonly Walked[]): number {
  return walked.reduce((sum, [, functions]) => sum + functions.length, 0);
}
