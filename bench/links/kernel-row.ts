/**
 * HTTP over TCP through the kernel's own bottleneck, to compare the relays with: a network namespace whose only way out
 * is shaped by tbf(8). That has a queue that drops, and no delay: Linux delays packets with netem(8), which is a module
 * that not every kernel has.
 */

import { startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { missingPrograms } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import { layBlobs } from "../load/blobs.ts";
import { type BenchLink, queueOf } from "./link.ts";
import type { Row, RowRound } from "./row.ts";
import { take } from "./take.ts";

/** The row; its queue is that of the link, whose delay is left out. */
export function kernelRow(link: BenchLink): Row {
  return { name: `${link.bitsPerSecond / 1e6} Mbit/s of tbf, HTTP over TCP`, measure: (round) => measure(link, round) };
}

const [outside, inside] = ["10.78.0.1", "10.78.0.2"];
/** What tbf lets pass at once; less than what segmentation offload makes of a TCP flow would stop it. */
const burstBytes = 262_144;

async function measure(link: BenchLink, { place, owned, note, sizeBytes, maxSeconds }: RowRound): Promise<void> {
  const missing = missingPrograms(["root", "ip", "tc"]);
  if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}`);
  const namespace = await makeNamespace(link, owned);
  const registry = owned.use(await startDockerRegistry({ folder: place.folder, address: outside }));
  const blobs = await layBlobs(registry.storage, 1, sizeBytes ?? link.sizeBytes, "thin");
  const { bytes, seconds } = await take(place.folder, registry.url, blobs, maxSeconds, namespace);
  note({ name: "share", unit: "" }, (bytes * 8) / seconds / (link.bitsPerSecond * payloadPart));
  note({ name: "rate", unit: "MB/s" }, bytes / 1e6 / seconds);
}

/** Of a full TCP segment with time stamps, over its Ethernet frame. */
const payloadPart = 1448 / 1514;

/** Its name; `owned` removes it, and the link with it. */
async function makeNamespace(link: BenchLink, owned: AsyncDisposableStack): Promise<string> {
  const namespace = `ndnr-${process.pid}`;
  const [near, far] = [`ndnr${process.pid}a`, `ndnr${process.pid}b`];
  await run("ip", ["netns", "add", namespace]);
  owned.defer(async () => void (await run("ip", ["netns", "del", namespace])));
  await run("ip", ["link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace]);
  await run("ip", ["addr", "add", `${outside}/30`, "dev", near]);
  await run("ip", ["-n", namespace, "addr", "add", `${inside}/30`, "dev", far]);
  await run("ip", ["link", "set", near, "up"]);
  await run("ip", ["-n", namespace, "link", "set", far, "up"]);
  const limit = Math.round(Math.max(queueOf(link), burstBytes));
  const shape = ["rate", `${link.bitsPerSecond}bit`, "burst", String(burstBytes), "limit", String(limit)];
  await run("tc", ["qdisc", "add", "dev", near, "root", "tbf", ...shape]);
  return namespace;
}
