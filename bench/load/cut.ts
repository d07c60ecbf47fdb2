/**
 * Slow readers, and between server and registry a proxy that closes what cannot be sent for a while.
 */
import { freePort } from "#test/support/free-port.ts";
import type { SendTimeoutCounters } from "#test/support/proxies/send-timeout-relay.ts";
import { countersOf, startRelay } from "../relays/start.ts";
import { layBlobs } from "./blobs.ts";
import { watchCosts } from "./costs.ts";
import { readAllSlowly } from "./read-slowly.ts";
import { type Way, warmUp } from "./rig.ts";
import { noteFailures, type Row, type RowRound } from "./row.ts";

const count = 16;
const sizeBytes = 50_000_000;
const bytesPerSecond = 1_000_000;
const sendTimeoutMs = 10_000;
/** Twice as long as it has to take. */
const seconds = (2 * sizeBytes) / bytesPerSecond;

/** The row; the client caches nothing, so that its readers' pace is the registry's. */
export function cutRow(way: Way): Row {
  const what = `${count} of ${sizeBytes / 1e6} MB at ${bytesPerSecond / 1e6} MB/s`;
  return { name: `${what}, proxy of ${sendTimeoutMs / 1000} s, cache off, ${way}`, way, measure };
}

async function measure({ load, note, progress }: RowRound): Promise<void> {
  const { rig } = load;
  const port = await freePort();
  const targetPort = Number(new URL(rig.registry.url).port);
  await using relay = await startRelay(rig, "send-timeout", { port, targetPort, sendTimeoutMs });
  const server = await load.server(["--registry", `http://127.0.0.1:${port}`]);
  const client = await load.client("client", { DOCKER_NDN_CACHE_SIZE: "0" });
  await warmUp(load, [client]);
  const blobs = await layBlobs(rig.registry.storage, count, sizeBytes, "thin");
  progress("reading");
  const costs = await watchCosts({ registry: rig.registry, server, clients: [client] });
  const { bytes, failures } = await readAllSlowly(client.url, blobs, { bytesPerSecond, seconds });
  await costs(note, { bytes: count * sizeBytes, blobs: count, registryGoal: 1.1 });
  await relay.stop();
  note({ name: "connections cut", unit: "" }, countersOf<SendTimeoutCounters>(relay).cut);
  const parts = bytes.filter((got) => got > 0 && got < sizeBytes);
  noteFailures({ note, progress }, [...failures, ...parts.map((got) => `${got} bytes after ${seconds} s`)]);
}
