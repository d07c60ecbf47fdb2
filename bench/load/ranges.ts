/**
 * Ranges at random places of large blobs, as lazy pullers (stargz, SOCI) ask for them.
 */
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { blobUrl } from "#test/support/slow-reader.ts";
import { repository } from "../rig.ts";
import { timed } from "../scenario.ts";
import { bytesAt, type LaidBlob, layBlobs } from "./blobs.ts";
import { watchCosts } from "./costs.ts";
import { type Way, warmUp } from "./rig.ts";
import { noteFailures, type Row, type RowRound } from "./row.ts";

const blobCount = 16;
const sizeBytes = 500_000_000;
const rangeCount = 64;
const rangeBytes = 1_000_000;
const patienceMs = 60_000;
/** At most three times as long as straight from the registry. */
const goal = { needed: 1 / 3, aim: 1 };

interface Part {
  readonly blob: LaidBlob;
  readonly start: number;
}

/** The row; the client has the server's certificate, so that it may read a range over NDN for itself. */
export function rangesRow(way: Way): Row {
  const name = `${rangeCount} ranges of ${rangeBytes / 1e6} MB in ${blobCount} of ${sizeBytes / 1e6} MB, ${way}`;
  return { name, way, measure };
}

async function measure({ load, note, progress }: RowRound): Promise<void> {
  const { registry, folder } = load.rig;
  const anchor = join(folder, "anchor.ndncert");
  const server = await load.server(["--export-anchor", anchor]);
  const client = await load.client("client", { DOCKER_NDN_ANCHOR: anchor });
  await warmUp(load, [client]);
  const blobs = await layBlobs(registry.storage, blobCount, sizeBytes, "thin");
  const parts = Array.from({ length: rangeCount }, (_, index) => partOf(blobs[index % blobCount]!));
  progress("all at once");
  const costs = await watchCosts({ registry, server, clients: [client] });
  const ours = await readAll(client.url, parts);
  await costs(note, { bytes: rangeCount * rangeBytes, blobs: blobCount, registryGoal: 1.5 });
  const straight = await readAll(registry.url, parts);
  const sumMegabytes = (rangeCount * rangeBytes) / 1e6;
  note({ name: "sum", unit: "MB/s" }, sumMegabytes / ours.seconds);
  note({ name: "straight", unit: "MB/s" }, sumMegabytes / straight.seconds);
  note({ name: "ours : straight", unit: "", goal }, straight.seconds / ours.seconds);
  noteFailures({ note, progress }, [...ours.failures, ...straight.failures]);
}

function partOf(blob: LaidBlob): Part {
  return { blob, start: randomInt(sizeBytes - rangeBytes) };
}

async function readAll(endpoint: string, parts: readonly Part[]): Promise<{ seconds: number; failures: string[] }> {
  const reads: Promise<Buffer>[] = parts.map((part) => read(endpoint, part));
  const seconds = await timed(() => Promise.allSettled(reads));
  const failures: string[] = [];
  for (const [index, { blob, start }] of parts.entries()) {
    try {
      const expected = await bytesAt(blob, start, start + rangeBytes);
      if (!(await reads[index]!).equals(expected)) throw new Error("wrong bytes");
    } catch (err: unknown) {
      failures.push(`bytes from ${start} of ${blob.digest.slice(0, 15)}: ${(err as Error).message}`);
    }
  }
  return { seconds, failures };
}

async function read(endpoint: string, { blob, start }: Part): Promise<Buffer> {
  const headers = { Range: `bytes=${start}-${start + rangeBytes - 1}` };
  const signal = AbortSignal.timeout(patienceMs);
  const response = await fetch(blobUrl(endpoint, repository, blob.digest), { headers, signal });
  if (response.status !== 206) throw new Error(`answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}
