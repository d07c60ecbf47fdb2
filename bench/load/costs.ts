/**
 * What a row costs the registry, the link and the programs.
 */
import { sumOf } from "#test/support/metrics.ts";
import type { DockerRegistry } from "#test/support/programs/docker-registry.ts";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import type { Note } from "../scenario.ts";
import { startMetering } from "../usage.ts";

/** Who takes part. */
export interface Parties {
  readonly registry: DockerRegistry;
  readonly server: RunningProgram;
  readonly clients: readonly RunningProgram[];
}

/** What is asked of a row. */
export interface Asked {
  /** Of the blobs, or of the parts of them that are asked for. */
  readonly bytes: number;
  readonly blobs: number;
  /** How many times these bytes the registry may write. */
  readonly registryGoal: number;
}

/** Most that server and client may hold, in MB. */
const memoryGoal = { needed: 250, aim: 200 };

/**
 * Begin to count. The returned function notes what it was, and ends server and clients: only then the registry's access
 * log has all answers, also those that somebody has hung up on.
 */
export async function watchCosts(parties: Parties): Promise<(note: Note, asked: Asked) => Promise<void>> {
  const { registry, server, clients } = parties;
  const before = await countClients(clients);
  const log = await readLog(registry);
  const meters = [server, ...clients].map(({ process }) => startMetering({ it: process }));
  return async (note, asked) => {
    const [ofServer, ...ofClients] = meters.map((meter) => meter()[0]!);
    const after = await countClients(clients);
    for (const { process } of [...clients, server]) await process.stop();
    noteRegistry(note, asked, log, await readLog(registry));
    noteLink(note, asked, before, after);
    note({ name: "server", unit: "MB RSS", goal: memoryGoal }, ofServer!.peakBytes / 1e6);
    const peaks = ofClients.map(({ peakBytes }) => peakBytes);
    note({ name: "client", unit: "MB RSS", goal: memoryGoal }, Math.max(...peaks) / 1e6);
    note({ name: "server's CPU", unit: "s/GB" }, ofServer!.cpuSeconds / (asked.bytes / 1e9));
    const cpuSeconds = ofClients.reduce((sum, usage) => sum + usage.cpuSeconds, 0);
    note({ name: "clients' CPU", unit: "s/GB" }, cpuSeconds / (asked.bytes / 1e9));
  };
}

interface Log {
  readonly bytes: number;
  readonly gets: number;
  readonly heads: number;
}

async function readLog(registry: DockerRegistry): Promise<Log> {
  const requests = await registry.requests();
  const count = (method: string) => requests.filter((request) => request.startsWith(method)).length;
  return { bytes: await registry.blobBytes(), gets: count("GET"), heads: count("HEAD") };
}

function noteRegistry(note: Note, { bytes, blobs, registryGoal }: Asked, before: Log, after: Log): void {
  const goal = { needed: registryGoal, aim: 1 };
  note({ name: "registry wrote", unit: "times", goal }, (after.bytes - before.bytes) / bytes);
  note({ name: "GETs", unit: "per blob" }, (after.gets - before.gets) / blobs);
  note({ name: "HEADs", unit: "per blob" }, (after.heads - before.heads) / blobs);
}

interface LinkCount {
  readonly interests: number;
  readonly retransmissions: number;
  readonly ndnBytes: number;
  readonly upstreamBytes: number;
}

/** Of all clients together. */
async function countClients(clients: readonly RunningProgram[]): Promise<LinkCount> {
  const sum = { interests: 0, retransmissions: 0, ndnBytes: 0, upstreamBytes: 0 };
  for (const client of clients) {
    const [samples, { ndn, upstream }] = [await client.metrics(), await blobBytes(client)];
    sum.interests += sumOf(samples, "ndn_registry_uplink_interests_total");
    sum.retransmissions += sumOf(samples, "ndn_registry_uplink_retransmissions_total");
    sum.ndnBytes += ndn;
    sum.upstreamBytes += upstream;
  }
  return sum;
}

/** What came past NDN in more than this share makes the other figures those of something else. */
const pastGoal = 0.01;

function noteLink(note: Note, { bytes }: Asked, before: LinkCount, after: LinkCount): void {
  const of = (key: keyof LinkCount) => after[key] - before[key];
  const goal = { needed: 1, aim: 0.1 };
  note({ name: "retransmitted", unit: "%", goal }, (100 * of("retransmissions")) / Math.max(1, of("interests")));
  note({ name: "over NDN", unit: "MB" }, of("ndnBytes") / 1e6);
  note({ name: "past NDN", unit: "MB", goal: { needed: (pastGoal * bytes) / 1e6, aim: 0 } }, of("upstreamBytes") / 1e6);
}
