/**
 * The rig of "transfer": all the paths that its rows compare, up at the same time.
 */

import { freePort } from "#test/support/free-port.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { type Rig, type RigPlace, startRig } from "../rig.ts";

/** Servers, clients and a cache around a rig. */
export interface TransferRig {
  readonly rig: Rig;
  /** Server on the forwarder and on a face of its own. */
  readonly server: RunningProgram;
  /** Server on a face of its own that reads the registry's storage directory. */
  readonly storageServer: RunningProgram;
  readonly throughForwarder: RunningProgram;
  readonly overDirectFace: RunningProgram;
  readonly fromStorage: RunningProgram;
  /** Pull-through cache of the registry. */
  readonly cache: DockerRegistry;
}

/** Start everything; `owned` stops it. */
export async function startTransferRig(place: RigPlace, owned: AsyncDisposableStack): Promise<TransferRig> {
  const rig = await startRig(place, owned);
  const direct = `tcp://127.0.0.1:${await freePort()}`;
  const storage = `tcp://127.0.0.1:${await freePort()}`;
  const proxyRemote = rig.registry.url;
  return {
    rig,
    cache: owned.use(await startDockerRegistry({ folder: await rig.folderOf("cache"), proxyRemote })),
    server: await rig.server("server", ["--uplink", rig.uplink, "--face", direct]),
    storageServer: await rig.server("storage", ["--face", storage, "--storage", rig.registry.storage]),
    throughForwarder: await rig.client("through-forwarder", rig.uplink),
    overDirectFace: await rig.client("over-direct-face", direct),
    fromStorage: await rig.client("from-storage", storage),
  };
}
