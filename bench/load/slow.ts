/**
 * What a fast reader gets while slow ones are served.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { RunningProgram } from "#test/support/running-program.ts";
import { median } from "../report.ts";
import { layBlobs } from "./blobs.ts";
import { watchCosts } from "./costs.ts";
import { type Gotten, getAll } from "./get.ts";
import { readAllSlowly } from "./read-slowly.ts";
import { type LoadRig, type Way, warmUp } from "./rig.ts";
import { noteFailures, type Row, type RowRound } from "./row.ts";

/** Who reads. */
export interface Slow {
  readonly way: Way;
  readonly readers: number;
  /** Whether the client caches blobs: then it may fetch them faster than they are read. */
  readonly cache: "on" | "off";
}

const sizeBytes = 50_000_000;
const bytesPerSecond = 500_000;
/** The fast readers, one after the other. */
const fastReaders = 7;
const fastEveryMs = 5_000;
/** Then the slow ones hang up. */
const seconds = 40;
/** Alone, before. */
const aloneTimes = 3;
/** No one minds so long, however fast it would be alone. */
const unnoticedSeconds = 0.5;

/** The row. */
export function slowRow(slow: Slow): Row {
  const { way, readers, cache } = slow;
  return {
    name: `${readers} readers of ${bytesPerSecond / 1e6} MB/s, cache ${cache}, ${way}`,
    way,
    measure: (round) => measure(slow, round),
  };
}

async function measure({ readers, cache }: Slow, { load, note, progress }: RowRound): Promise<void> {
  const { registry } = load.rig;
  const server = await load.server();
  const client = await load.client("client", { DOCKER_NDN_CACHE_SIZE: cache === "on" ? "10GiB" : "0" });
  await warmUp(load, [client]);
  const alone = median((await readFast(load, client, aloneTimes, 0)).map((read) => read.seconds));
  const blobs = await layBlobs(registry.storage, readers, sizeBytes, "thin");
  progress(`a fast reader alone takes ${alone.toFixed(2)} s`);
  const costs = await watchCosts({ registry, server, clients: [client] });
  const [slow, fast] = await Promise.all([
    readAllSlowly(client.url, blobs, { bytesPerSecond, seconds }),
    readFast(load, client, fastReaders, fastEveryMs),
  ]);
  const times = fast.map((read) => read.seconds);
  const goal = { needed: Math.max(2 * alone, unnoticedSeconds), aim: alone };
  note({ name: "fast reader alone", unit: "s" }, alone);
  note({ name: "beside slow ones, longest", unit: "s", goal }, Math.max(...times));
  note({ name: "beside slow ones, median", unit: "s" }, median(times));
  const late = slow.bytes.filter((bytes) => bytes < 0.9 * bytesPerSecond * seconds).length;
  note({ name: "slow ones kept waiting", unit: "" }, late);
  note({ name: "read by all", unit: "MB" }, sumOf([...slow.bytes, ...fast.map(({ bytes }) => bytes)]) / 1e6);
  const count = readers + fastReaders;
  await costs(note, { bytes: count * sizeBytes, blobs: count, registryGoal: 1.1 });
  noteFailures({ note, progress }, [...slow.failures, ...fast.flatMap(({ failures }) => failures)]);
}

/** Begin to read another fresh blob each time, whether or not the ones before are there. */
async function readFast(load: LoadRig, client: RunningProgram, times: number, everyMs: number): Promise<Gotten[]> {
  const blobs = await layBlobs(load.rig.registry.storage, times, sizeBytes);
  const reads: Promise<Gotten>[] = [];
  for (const blob of blobs) {
    await delay(everyMs); // the slow ones are there when the first one comes
    reads.push(getAll(load.rig.folder, [{ endpoint: client.url, blob }]));
    if (everyMs === 0) await reads.at(-1);
  }
  return Promise.all(reads);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
