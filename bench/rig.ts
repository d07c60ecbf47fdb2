/**
 * What the benchmark runs against, all of it real: docker-registry, ndnd, servers and clients as processes of their own.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import type { RunningProcess } from "#test/support/process.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { type RunningProgram, startClient, startServer } from "#test/support/running-program.ts";

/** NDN prefix of the benchmark's servers. */
export const prefix = "/bench/images";
/** Repository of the benchmark's blobs. */
export const repository = "bench/blob";

/** A blob in the registry that no one has asked for. */
export interface FreshBlob {
  readonly digest: string;
  readonly bytes: Buffer;
}

/** A registry, a forwarder, and what is put around them. */
export interface Rig {
  readonly folder: string;
  readonly registry: DockerRegistry;
  readonly forwarder: RunningProcess;
  /** Socket of the forwarder. */
  readonly socket: string;
  /** URL of the forwarder's socket. */
  readonly uplink: string;
  /** UDP port of the forwarder, and its URL. */
  readonly udpPort: number;
  readonly udpUplink: string;
  /** Make a folder in the rig's own. */
  folderOf(name: string): Promise<string>;
  /** Start a server of the registry, or of what `--registry` and `--name` among `args` say; `name` is its folder's. */
  server(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunningProgram>;
  /** Start a client of the registry; `name` is its folder's. */
  client(
    name: string,
    uplink: string,
    env?: Readonly<Record<string, string>>,
    args?: readonly string[],
  ): Promise<RunningProgram>;
  /** Push a blob that was never asked for before. */
  freshBlob(sizeBytes: number): Promise<FreshBlob>;
}

/** Where a rig is. */
export interface RigPlace {
  /** An empty folder. */
  readonly folder: string;
  /** The checkout whose programs are started. @defaultValue this one */
  readonly checkout?: string | undefined;
  /** TCP faces of the forwarder are on this port. @defaultValue none */
  readonly tcpPort?: number;
}

/** Start registry and forwarder; `owned` stops them and whatever is started through the rig. */
export async function startRig({ folder, checkout, tcpPort }: RigPlace, owned: AsyncDisposableStack): Promise<Rig> {
  const folderOf = async (name: string) => {
    const path = join(folder, name);
    await mkdir(path, { recursive: true });
    return path;
  };
  const socket = join(await folderOf("nfd"), "nfd.sock");
  const udpPort = await freePort();
  const ports = { udpPort, ...(tcpPort !== undefined && { tcpPort }) };
  const forwarder = owned.use(await startNdnd({ socket, capacity: 32_768, ...ports }));
  const registry = owned.use(await startDockerRegistry({ folder: await folderOf("registry") }));
  let blobs = 0;
  return {
    folder,
    registry,
    forwarder,
    socket,
    uplink: `unix://${socket}`,
    udpPort,
    udpUplink: `udp://127.0.0.1:${udpPort}`,
    folderOf,
    async server(name, args, env = {}) {
      const own = [...unless(args, "--name", prefix), ...unless(args, "--registry", registry.url)];
      return owned.use(await startServer({ folder: await folderOf(name), checkout, args: [...own, ...args], env }));
    },
    async client(name, uplink, env = {}, args = []) {
      const own = [...unless(args, "--name", prefix), "--upstream", registry.url, "--uplink", uplink];
      return owned.use(await startClient({ folder: await folderOf(name), checkout, args: [...own, ...args], env }));
    },
    async freshBlob(sizeBytes) {
      const bytes = randomBytesOf(`${process.pid} ${performance.now()} ${blobs++}`, sizeBytes);
      const { digest } = await pushBlob(registry.url, repository, bytes);
      return { digest, bytes };
    },
  };
}

/** This option, unless it is among `args`. */
function unless(args: readonly string[], option: string, value: string): string[] {
  return args.includes(option) ? [] : [option, value];
}
