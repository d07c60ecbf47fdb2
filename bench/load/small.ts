/**
 * Many small cold blobs, of which each costs more by itself than by its bytes.
 */
import { layBlobs } from "./blobs.ts";
import { watchCosts } from "./costs.ts";
import { getInTurn } from "./get.ts";
import { type Way, warmUp } from "./rig.ts";
import { noteFailures, type Row, type RowRound } from "./row.ts";

const atOnce = 256;
/** With other blobs each time: once is over in a moment. */
const times = 4;
const sizeBytes = 10_000;
const goal = { needed: 0.25, aim: 0.4 };

/** The row. */
export function smallRow(way: Way): Row {
  return { name: `${atOnce} of ${sizeBytes / 1000} KB, ${way}`, way, measure };
}

async function measure({ load, note, progress }: RowRound): Promise<void> {
  const { registry, folder } = load.rig;
  const server = await load.server();
  const client = await load.client("client");
  await warmUp(load, [client]);
  const blobs = await layBlobs(registry.storage, atOnce * times, sizeBytes);
  progress(`${atOnce} at once`);
  const costs = await watchCosts({ registry, server, clients: [client] });
  const ours = await getInTurn(folder, [client], blobs, atOnce);
  await costs(note, { bytes: blobs.length * sizeBytes, blobs: blobs.length, registryGoal: 1.05 });
  const straight = await getInTurn(folder, [registry], blobs, atOnce);
  note({ name: "blobs", unit: "per s" }, blobs.length / ours.seconds);
  note({ name: "straight", unit: "blobs per s" }, blobs.length / straight.seconds);
  note({ name: "ours : straight", unit: "", goal }, straight.seconds / ours.seconds);
  noteFailures({ note, progress }, [...ours.failures, ...straight.failures]);
}
