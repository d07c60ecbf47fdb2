/**
 * Different cold blobs at once, beside one of their sum and the same straight from the registry.
 */
import type { RunningProgram } from "#test/support/running-program.ts";
import { layBlobs, removeBlobs } from "./blobs.ts";
import { watchCosts } from "./costs.ts";
import { type Gotten, getInTurn } from "./get.ts";
import { type LoadRig, type Way, warmUp } from "./rig.ts";
import { noteFailures, type Row, type RowRound } from "./row.ts";

/** What is asked for at once. */
export interface Cold {
  readonly way: Way;
  readonly clients: number;
  /** Blobs of each client. */
  readonly blobs: number;
  readonly sizeBytes: number;
}

/** Fewer bytes than this are asked for several times, each time other blobs: a moment says too little. */
const leastBytes = 160_000_000;
const goal = { needed: 0.9, aim: 1 };

/** The row. */
export function coldRow(cold: Cold): Row {
  return { name: coldName(cold), way: cold.way, measure: (round) => measure(cold, round) };
}

/** Its name. */
export function coldName({ way, clients, blobs, sizeBytes }: Cold): string {
  const by = clients === 1 ? "" : `${clients} clients x `;
  return `${by}${blobs} of ${sizeBytes / 1e6} MB, ${way}`;
}

async function measure(cold: Cold, { load, note, progress }: RowRound): Promise<void> {
  const { storage, url } = load.rig.registry;
  const count = cold.clients * cold.blobs;
  const times = Math.max(1, Math.ceil(leastBytes / (count * cold.sizeBytes)));
  const server = await load.server();
  const one = await measureOne(load, count * cold.sizeBytes, times);
  const clients = await startClients(load, cold.clients);
  await warmUp(load, clients);
  const blobs = await layBlobs(storage, count * times, cold.sizeBytes);
  progress(`${count} at once`);
  const costs = await watchCosts({ registry: load.rig.registry, server, clients });
  const many = await getInTurn(load.rig.folder, clients, blobs, count);
  note({ name: "sum", unit: "MB/s" }, rateOf(many));
  note({ name: "one blob of the sum", unit: "MB/s" }, rateOf(one));
  note({ name: "sum : one", unit: "", goal }, one.bytes === 0 ? 0 : rateOf(many) / rateOf(one));
  await costs(note, { bytes: blobs.length * cold.sizeBytes, blobs: blobs.length, registryGoal: 1.05 });
  const straight = await getInTurn(load.rig.folder, [{ url }], blobs, count);
  note({ name: "straight", unit: "MB/s" }, rateOf(straight));
  noteFailures({ note, progress }, [...one.failures, ...many.failures, ...straight.failures]);
}

/** By a client of its own, which leaves nothing behind. */
async function measureOne(load: LoadRig, sizeBytes: number, times: number): Promise<Gotten> {
  const client = await load.client("alone");
  await warmUp(load, [client]);
  const blobs = await layBlobs(load.rig.registry.storage, times, sizeBytes);
  const one = await getInTurn(load.rig.folder, [client], blobs, 1);
  await load.remove("alone", client);
  await removeBlobs(blobs);
  return one;
}

function rateOf({ bytes, seconds }: Gotten): number {
  return bytes / 1e6 / seconds;
}

/** A few at a time: each takes two seconds of CPU to start. */
async function startClients(load: LoadRig, count: number): Promise<RunningProgram[]> {
  const clients: RunningProgram[] = [];
  while (clients.length < count) {
    const next = Array.from({ length: Math.min(4, count - clients.length) }, (_, nth) => clients.length + nth);
    clients.push(...(await Promise.all(next.map((number) => load.client(`client-${number}`)))));
  }
  return clients;
}
