/**
 * What a row of "links" runs against: registry, server, a link and a client behind it, all of the row's own.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import type { RunningProcess } from "#test/support/process.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { until } from "#test/support/until.ts";
import type { LaidBlob } from "../load/blobs.ts";
import { startRelay } from "../relays/start.ts";
import { type Rig, type RigPlace, startRig } from "../rig.ts";
import type { BothWays } from "./link.ts";
import { take } from "./take.ts";

/**
 * Where the link is: between the client and the server's own face, also with a cache on this side; between the client
 * and the forwarder, as a link of packets, or one of bytes with a TCP face.
 */
export type LinkPlace = "direct face" | "near cache" | "ndnd" | "TCP face to ndnd";

/** The running parts. */
export interface LinkRig {
  readonly rig: Rig;
  readonly server: RunningProgram;
  readonly relay: RunningProcess;
  /** URL of the client's uplink. */
  readonly uplink: string;
  /** What has to be done with blobs before they are measured. */
  readonly prepare?: (blobs: readonly LaidBlob[]) => Promise<void>;
}

const seed = 42;

/** Start all parts but the client. */
export async function startLinkRig(
  { folder, checkout }: RigPlace,
  place: LinkPlace,
  ways: BothWays,
  owned: AsyncDisposableStack,
): Promise<LinkRig> {
  const [tcpPort, facePort] = [await freePort(), await freePort()];
  const rig = await startRig({ folder, checkout, tcpPort }, owned);
  const isDirect = place === "direct face" || place === "near cache";
  const args = isDirect ? ["--face", `tcp://127.0.0.1:${facePort}`] : ["--uplink", rig.uplink];
  const server = await connected(await rig.server("server", args));
  if (place === "TCP face to ndnd") return { rig, server, ...(await byteLink(rig, tcpPort, ways, owned)) };
  const listen = join(await rig.folderOf("link"), "link.sock");
  const target = isDirect ? { host: "127.0.0.1", port: facePort } : rig.socket;
  const [options, uplink] = [{ listen, target, ...ways, seed }, `unix://${listen}`];
  if (place !== "near cache") {
    return { rig, server, uplink, relay: owned.use(await startRelay(rig, "link", options)) };
  }
  const filler = join(rig.folder, "link/filler.sock");
  const relay = owned.use(await startRelay(rig, "near-cache", { ...options, filler }));
  return { rig, server, uplink, relay, prepare: (blobs) => fill(rig, `unix://${filler}`, blobs) };
}

async function byteLink(rig: Rig, targetPort: number, ways: BothWays, owned: AsyncDisposableStack) {
  const port = await freePort();
  const relay = owned.use(await startRelay(rig, "bytes", { port, targetPort, ...ways, isNdn: true }));
  return { relay, uplink: `tcp://127.0.0.1:${port}` };
}

/** Let another client fetch them through the cache. */
async function fill(rig: Rig, uplink: string, blobs: readonly LaidBlob[]): Promise<void> {
  const client = await startLinkClient(rig, "filler", uplink);
  await take(rig.folder, client.url, blobs, fillSeconds);
  await client.process.stop();
  await rm(join(rig.folder, "filler"), { recursive: true });
}

const fillSeconds = 60;

/** Start a client that asks the upstream only when it has given NDN up. */
export async function startLinkClient(rig: Rig, name: string, uplink: string): Promise<RunningProgram> {
  return connected(await rig.client(name, uplink, { DOCKER_NDN_HEDGE: "off" }));
}

async function connected(program: RunningProgram): Promise<RunningProgram> {
  await until(`uplink of ${program.url}`, async () => (await program.missing()).length === 0);
  return program;
}
