/**
 * What a row of "load" runs against: a registry, a server and its clients of the row's own, so that no row finds what
 * another one left in caches or memory.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { until } from "#test/support/until.ts";
import { type Rig, type RigPlace, startRig } from "../rig.ts";
import { type LaidBlob, layBlobs } from "./blobs.ts";
import { getAll } from "./get.ts";

/** How a client reaches the server: a TCP face between them, or a forwarder that both are connected to. */
export type Way = "direct face" | "ndnd";

/** The rig of one row. */
export interface LoadRig {
  readonly rig: Rig;
  /** Start the server; resolves when its prefix is registered. */
  server(args?: readonly string[]): Promise<RunningProgram>;
  /** Start a client that has a folder of this name; resolves when its uplink is up. */
  client(name: string, env?: Readonly<Record<string, string>>): Promise<RunningProgram>;
  /** End a client and remove what it has cached: there are rows that fill the memory of a small machine. */
  remove(name: string, client: RunningProgram): Promise<void>;
}

/** Start registry and forwarder; `owned` stops them and whatever is started through the rig. */
export async function startLoadRig(place: RigPlace, way: Way, owned: AsyncDisposableStack): Promise<LoadRig> {
  const rig = await startRig(place, owned);
  const face = `tcp://127.0.0.1:${await freePort()}`;
  const [listen, uplink] = way === "ndnd" ? [["--uplink", rig.uplink], rig.uplink] : [["--face", face], face];
  return {
    rig,
    server: async (args = []) => connected(await rig.server("server", [...listen, ...args])),
    client: async (name, env) => connected(await rig.client(name, uplink, env)),
    async remove(name, client) {
      await client.process.stop();
      await rm(join(rig.folder, name), { recursive: true });
    },
  };
}

/** Before that a client would ask the upstream instead. */
async function connected(program: RunningProgram): Promise<RunningProgram> {
  await until(`uplink of ${program.url}`, async () => (await program.missing()).length === 0);
  return program;
}

const warmUpBlobs = 3;
const warmUpBytes = 50_000_000;

/** Let each client fetch the same three blobs, one after the other. @throws Error when one fails */
export async function warmUp({ rig }: LoadRig, clients: readonly RunningProgram[]): Promise<void> {
  const blobs = await layBlobs(rig.registry.storage, warmUpBlobs, warmUpBytes);
  for (const blob of blobs) await warmUpBy(rig, clients, blob);
}

async function warmUpBy(rig: Rig, clients: readonly RunningProgram[], blob: LaidBlob): Promise<void> {
  const { failures } = await getAll(
    rig.folder,
    clients.map(({ url }) => ({ endpoint: url, blob })),
  );
  if (failures.length > 0) throw new Error(`warm-up: ${failures[0]}`);
}
