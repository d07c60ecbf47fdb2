/**
 * "links": how much of a long link with losses a client fills.
 */
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import type { LinkCounters } from "#test/support/link/link.ts";
import type { RunningProcess } from "#test/support/process.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { checkFile, curl, watchUpstream } from "./download.ts";
import { countersOf, startRelay } from "./relays/start.ts";
import { type Rig, startRig } from "./rig.ts";
import { type Context, collect, type Goal, type Note, type Scenario, timed, usualSizeBytes } from "./scenario.ts";

const bitsPerSecond = 100_000_000;
const delayMs = 20;
const seed = 42;
const losses: readonly { loss: number; goal: Goal }[] = [
  { loss: 0, goal: { needed: 0.85, aim: 0.95 } },
  { loss: 0.01, goal: { needed: 0.7, aim: 0.9 } },
  { loss: 0.05, goal: { needed: 0.4, aim: 0.75 } },
];

/** A fresh client behind a fresh link for each rate of loss; no warm-up, since a link is slower than any cold program. */
export const links: Scenario = {
  name: "links",
  title: `links: share of a link of ${bitsPerSecond / 1e6} Mbit/s and ${2 * delayMs} ms round trip that payload fills`,
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    await rig.server("server", ["--uplink", rig.uplink]);
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const figures = await collect(async (note) => {
      for (const { loss, goal } of losses) await measureNdn(rig, context, sizeBytes, loss, goal, note);
      await measureTcp(rig, context, sizeBytes, note);
    });
    return { sizeBytes, figures };
  },
};

async function measureNdn(rig: Rig, context: Context, sizeBytes: number, loss: number, goal: Goal, note: Note) {
  const name = `${loss * 100} % lost`;
  const listen = join(await rig.folderOf(`link-${loss}`), "link.sock");
  const down = { delayMs, bitsPerSecond, loss };
  const relay = await startRelay(rig, "link", { listen, target: rig.socket, up: { delayMs }, down, seed });
  const client = await rig.client(`client-${loss}`, `unix://${listen}`);
  try {
    const upstream = await watchUpstream([client]);
    for (let round = 1; round <= context.rounds; round++) {
      const before = await blobBytes(client);
      const seconds = await secondsOf(rig, client.url, sizeBytes);
      const bytes = (await blobBytes(client)).ndn - before.ndn; // what came past the link does not count
      note({ name, unit: "of the link", goal }, shareOf(bytes, seconds));
      context.progress(`${name}: ${shareOf(bytes, seconds).toFixed(2)}`);
    }
    await upstream(note, name);
  } finally {
    await client.process.stop();
    await relay.stop();
  }
  noteCounters(relay, name, note);
}

/** Both directions together, all rounds. */
function noteCounters(relay: RunningProcess, what: string, note: Note): void {
  const { packets, lost, overflowed } = countersOf<LinkCounters>(relay);
  note({ name: `${what}: packets that the link lost`, unit: "%" }, (lost / packets) * 100);
  note({ name: `${what}: packets that its full queue dropped`, unit: "%" }, (overflowed / packets) * 100);
}

async function measureTcp(rig: Rig, context: Context, sizeBytes: number, note: Note): Promise<void> {
  const port = await freePort();
  const targetPort = Number(new URL(rig.registry.url).port);
  const relay = await startRelay(rig, "bytes", { port, targetPort, up: { delayMs }, down: { delayMs, bitsPerSecond } });
  try {
    for (let round = 1; round <= context.rounds; round++) {
      const seconds = await secondsOf(rig, `http://127.0.0.1:${port}`, sizeBytes);
      note({ name: "HTTP over TCP, nothing lost", unit: "of the link" }, shareOf(sizeBytes, seconds));
    }
  } finally {
    await relay.stop();
  }
}

async function secondsOf(rig: Rig, endpoint: string, sizeBytes: number): Promise<number> {
  const { digest } = await rig.freshBlob(sizeBytes);
  const file = join(rig.folder, "output");
  const seconds = await timed(() => curl([{ endpoint, digest, file }]));
  await checkFile(file, digest);
  return seconds;
}

function shareOf(bytes: number, seconds: number): number {
  return (bytes * 8) / seconds / bitsPerSecond;
}
