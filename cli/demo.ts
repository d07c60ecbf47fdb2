/**
 * `npm run demo`: the whole path on one machine, with nothing else installed. Starts a registry with a sample image in
 * it, both halves in front, pulls the image through it as a puller would, and stays up.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { patternBlob, tarLayer } from "./demo/image-store.ts";
import { MemoryRegistry } from "./demo/registry.ts";
import { createLogger } from "./logger.ts";
import { readOptions } from "./option.ts";
import { Hangups } from "./process/hangups.ts";
import { runUntilSignal } from "./process/lifetime.ts";
import { startBothHalves } from "./start.ts";
import { startOptions } from "./start-options.ts";

const repository = "demo/hello";
const largeLayerBytes = 64 * 1024 * 1024;
const smallLayerBytes = 2 * 1024 * 1024;
const tag = "latest";
const acceptManifests = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/** One blob of the sample image after it came over NDN. */
interface Row {
  readonly blob: string;
  readonly bytes: number;
  readonly source: string;
  readonly megabytesPerSecond: string;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

async function pull(endpoint: string): Promise<Row[]> {
  const manifestUrl = `${endpoint}/v2/${repository}/manifests/${tag}`;
  const response = await fetch(manifestUrl, { headers: { accept: acceptManifests } });
  if (!response.ok) throw new Error(`${manifestUrl}: ${response.status}`);
  const manifest = (await response.json()) as { config: Descriptor; layers: Descriptor[] };
  const rows: Row[] = [];
  for (const descriptor of [manifest.config, ...manifest.layers]) rows.push(await pullBlob(endpoint, descriptor));
  return rows;
}

async function pullBlob(endpoint: string, { digest, size }: Descriptor): Promise<Row> {
  const startedAtMs = performance.now();
  const response = await fetch(`${endpoint}/v2/${repository}/blobs/${digest}`);
  if (!response.ok || response.body === null) throw new Error(`${digest}: ${response.status}`);
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of response.body) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  if (bytes !== size || `sha256:${hash.digest("hex")}` !== digest) throw new Error(`${digest} came out wrong`);
  return {
    blob: digest.slice(0, 19),
    bytes,
    source: response.headers.get("x-blob-source") ?? "?",
    megabytesPerSecond: (bytes / seconds / 1e6).toFixed(1),
  };
}

async function startSampleRegistry(): Promise<MemoryRegistry> {
  const registry = await MemoryRegistry.start();
  registry.addImage(repository, tag, [
    tarLayer({ "hello.txt": "Hello over Named Data Networking.\n" }),
    tarLayer({ "small.bin": patternBlob(smallLayerBytes, 2) }),
    tarLayer({ "large.bin": patternBlob(largeLayerBytes, 3) }),
  ]);
  return registry;
}

async function show(endpoint: string, registry: string): Promise<void> {
  console.table(await pull(endpoint));
  const image = `${endpoint.slice("http://".length)}/${repository}`;
  console.log(`All digests are right. The registry ${registry} stays behind the endpoint ${endpoint}; try\n`);
  console.log(`    docker pull ${image}\n    curl ${endpoint}/v2/${repository}/manifests/${tag}\n\nCtrl-C ends it.`);
}

async function main(): Promise<void> {
  const { values: flags } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:0" } } });
  const registry = await startSampleRegistry();
  const folder = join(tmpdir(), `ndn-registry-demo-${randomBytes(6).toString("hex")}`);
  const texts = {
    listen: flags.listen,
    upstream: registry.url.href,
    keychain: join(folder, "keychain"),
    state: join(folder, "state"),
    "cache-dir": join(folder, "cache"),
  };
  const values = readOptions(startOptions, { ...texts, "log-level": "warn" }, {});
  const log = createLogger(values);
  let closing: Promise<void> | undefined;
  const closeAll = async () => {
    await starting.then(
      (both) => both.close(),
      () => undefined, // reported below, if it is still awaited
    );
    await registry.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const close = () => (closing ??= closeAll());
  const stopped = runUntilSignal(log, { close, reload: async () => {} }, new Hangups()); // before there is anything to leave behind
  mkdirSync(folder, { mode: 0o700 });
  const starting = startBothHalves(values, log);
  try {
    await show((await starting).urls[0]!, registry.url.href);
  } catch (err: unknown) {
    if (closing === undefined) {
      await close();
      throw err;
    }
  }
  await stopped;
}

main().catch((err: unknown) => {
  console.error(`demo: ${(err as Error).message}`);
  process.exit(1);
});
