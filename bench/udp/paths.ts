/**
 * Servers and clients of one registry, on the unix socket and the UDP port of one forwarder.
 */
import { freePort } from "#test/support/free-port.ts";
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
  /** UDP ports that are listened on. */
  readonly ports: readonly number[];
  readonly unix: UdpPath;
  readonly overUdp: readonly UdpPath[];
}

/** Start everything; `owned` stops it. */
export async function startUdpPaths(place: RigPlace, owned: AsyncDisposableStack): Promise<UdpPaths> {
  const rig = await startRig(place, owned);
  const directPort = await freePort();
  const direct = `udp://127.0.0.1:${directPort}`;
  const path = async (name: string, serverUrl: string, clientUplink: string): Promise<UdpPath> => {
    const folder = name.replaceAll(/\W/g, "-");
    const prefix = ["--name", `/bench/${folder}`];
    const at = serverUrl === direct ? "--face" : "--uplink";
    const server = await rig.server(`server-${folder}`, [...prefix, at, serverUrl]);
    await until("the server's uplink", async () => (await server.missing()).length === 0);
    return { name, server, client: await rig.client(`client-${folder}`, clientUplink, {}, prefix) };
  };
  return {
    rig,
    ports: [rig.udpPort, directPort],
    unix: await path("both on unix", rig.uplink, rig.uplink),
    overUdp: [
      await path("client over UDP", rig.uplink, rig.udpUplink),
      await path("server over UDP", rig.udpUplink, rig.uplink),
      await path("no forwarder", direct, direct),
    ],
  };
}
