/**
 * Servers and clients of one registry, on the unix socket and the UDP port of one forwarder.
 */
import type { RunningProgram } from "#test/support/running-program.ts";
import { until } from "#test/support/until.ts";
import { type Rig, type RigPlace, startRig } from "../rig.ts";

/** One way from a server to a client. */
export interface UdpPath {
  readonly name: string;
  readonly server: RunningProgram;
  readonly client: RunningProgram;
}

/** All that are compared. */
export interface UdpPaths {
  readonly rig: Rig;
  readonly unix: UdpPath;
  readonly overUdp: readonly UdpPath[];
}

/** Start everything; `owned` stops it. */
export async function startUdpPaths(place: RigPlace, owned: AsyncDisposableStack): Promise<UdpPaths> {
  const rig = await startRig(place, owned);
  const path = async (name: string, serverUplink: string, clientUplink: string): Promise<UdpPath> => {
    const folder = name.replaceAll(/\W/g, "-");
    const prefix = ["--name", `/bench/${folder}`];
    const server = await rig.server(`server-${folder}`, [...prefix, "--uplink", serverUplink]);
    await until("the server's uplink", async () => (await server.missing()).length === 0);
    return { name, server, client: await rig.client(`client-${folder}`, clientUplink, {}, prefix) };
  };
  return {
    rig,
    unix: await path("both on unix", rig.uplink, rig.uplink),
    overUdp: [
      await path("client over UDP", rig.uplink, rig.udpUplink),
      await path("server over UDP", rig.udpUplink, rig.uplink),
    ],
  };
}
