/**
 * What a row of "links" runs against: registry, server, a link and a client behind it, all of the row's own.
 */
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import type { Address } from "#test/support/link/link-relay.ts";
import type { RunningProcess } from "#test/support/process.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { until } from "#test/support/until.ts";
import type { Way } from "../load/rig.ts";
import { startRelay } from "../relays/start.ts";
import { type Rig, type RigPlace, startRig } from "../rig.ts";
import type { BothWays } from "./link.ts";

/** The running parts. */
export interface LinkRig {
  readonly rig: Rig;
  readonly server: RunningProgram;
  readonly relay: RunningProcess;
  readonly client: RunningProgram;
}

const seed = 42;

/** The link is between the client and the server's own face, or between the client and the forwarder. */
export async function startLinkRig(
  place: RigPlace,
  way: Way,
  { up, down }: BothWays,
  owned: AsyncDisposableStack,
): Promise<LinkRig> {
  const rig = await startRig(place, owned);
  const port = await freePort();
  const isDirect = way === "direct face";
  const args = isDirect ? ["--face", `tcp://127.0.0.1:${port}`] : ["--uplink", rig.uplink];
  const server = await connected(await rig.server("server", args));
  const target: Address = isDirect ? { host: "127.0.0.1", port } : rig.socket;
  const listen = join(await rig.folderOf("link"), "link.sock");
  const relay = owned.use(await startRelay(rig, "link", { listen, target, up, down, seed }));
  return { rig, server, relay, client: await linkClient(rig, "client", `unix://${listen}`) };
}

/** A client that asks the upstream only when it has given NDN up. */
export async function linkClient(rig: Rig, name: string, uplink: string): Promise<RunningProgram> {
  return connected(await rig.client(name, uplink, { DOCKER_NDN_HEDGE: "off" }));
}

async function connected(program: RunningProgram): Promise<RunningProgram> {
  await until(`uplink of ${program.url}`, async () => (await program.missing()).length === 0);
  return program;
}
