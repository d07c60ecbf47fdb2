/**
 * What the benchmark runs against, all of it real: docker-registry, ndnd, servers and clients as processes of their own.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type DockerRegistry, startDockerRegistry } from "#test/support/docker-registry.ts";
import { freePort } from "#test/support/free-port.ts";
import { type Gateway, startClient, startServer } from "#test/support/gateway.ts";
import { startNdnd } from "#test/support/ndnd.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";

/** NDN prefix of the benchmark's servers. */
export const prefix = "/bench/images";
/** Repository of the benchmark's blobs. */
export const repository = "bench/blob";

/** Everything that runs. */
export interface Rig {
  readonly folder: string;
  readonly registry: DockerRegistry;
  /** Socket of the forwarder. */
  readonly socket: string;
  /** Server on the forwarder and on a face of its own. */
  readonly server: Gateway;
  /** Server on a face of its own that reads the registry's storage directory. */
  readonly storageServer: Gateway;
  readonly throughForwarder: Gateway;
  readonly overDirectFace: Gateway;
  readonly fromStorage: Gateway;
  /** Pull-through cache of the registry. */
  readonly cache: DockerRegistry;
  /** Push a blob that was never asked for before. */
  freshBlob(sizeBytes: number): Promise<{ digest: string; bytes: Buffer }>;
}

/** Start everything; `owned` stops it. */
export async function startRig(folder: string, owned: AsyncDisposableStack): Promise<Rig> {
  const folderOf = async (name: string) => {
    const path = join(folder, name);
    await mkdir(path, { recursive: true });
    return path;
  };
  const socket = join(await folderOf("nfd"), "nfd.sock");
  owned.use(await startNdnd({ socket, capacity: 32_768 }));
  const registry = owned.use(await startDockerRegistry({ folder: await folderOf("registry") }));
  const cache = owned.use(await startDockerRegistry({ folder: await folderOf("cache"), proxyRemote: registry.url }));
  const server = async (name: string, args: readonly string[]) =>
    owned.use(
      await startServer({
        folder: await folderOf(name),
        args: ["--name", prefix, "--registry", registry.url, ...args],
      }),
    );
  const client = async (name: string, uplink: string) =>
    owned.use(
      await startClient({
        folder: await folderOf(name),
        args: ["--name", prefix, "--upstream", registry.url, "--uplink", uplink],
      }),
    );
  const direct = `tcp://127.0.0.1:${await freePort()}`;
  const storage = `tcp://127.0.0.1:${await freePort()}`;
  const forwarder = `unix://${socket}`;
  let blobs = 0;
  return {
    folder,
    registry,
    socket,
    cache,
    server: await server("server", ["--uplink", forwarder, "--face", direct]),
    storageServer: await server("storage", ["--face", storage, "--storage", registry.storage]),
    throughForwarder: await client("through-forwarder", forwarder),
    overDirectFace: await client("over-direct-face", direct),
    fromStorage: await client("from-storage", storage),
    async freshBlob(sizeBytes) {
      const bytes = randomBytesOf(`${process.pid} ${performance.now()} ${blobs++}`, sizeBytes);
      const { digest } = await pushBlob(registry.url, repository, bytes);
      return { digest, bytes };
    },
  };
}
