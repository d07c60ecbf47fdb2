/**
 * Everything between a registry and a puller, all of it real: registry, server, forwarder, client.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type LinkRelay, startLinkRelay } from "./link/link-relay.ts";
import type { RunningProcess } from "./process.ts";
import { type DockerRegistry, startDockerRegistry } from "./programs/docker-registry.ts";
import { startNdnd } from "./programs/ndnd.ts";
import { type RunningProgram, startClient, startServer } from "./running-program.ts";
import type { Stage } from "./stage.ts";
import { until } from "./until.ts";

/** Options of {@link startWholePath}. */
export interface WholePathOptions {
  /** Added to the server's command line. */
  readonly server?: readonly string[];
  /** Added to the client's command line. */
  readonly client?: readonly string[];
  /** `user:password` of the endpoint, where everybody needs one. */
  readonly login?: string;
  /** Packets in the forwarder's content store. @defaultValue 32768 */
  readonly capacity?: number;
  /** Whether the client is given the server's certificate. @defaultValue false */
  readonly anchored?: boolean;
  /** Whether the client reaches the forwarder through a relay. @defaultValue false */
  readonly relayed?: boolean;
}

/** The running parts; programs that a test ends or starts again are its own to replace. */
export interface WholePath {
  readonly registry: DockerRegistry;
  readonly forwarder: RunningProcess;
  readonly server: RunningProgram;
  readonly client: RunningProgram;
  /** Path of the forwarder's socket. */
  readonly socket: string;
  /** Between client and forwarder, if there is one. */
  readonly relay: LinkRelay | undefined;
  /** The servers that run now. */
  servers(): RunningProgram[];
  /** Start another server beside the first one, in a folder of its own. */
  anotherServer(folder: string): Promise<RunningProgram>;
  /** Start the forwarder again after it was killed. */
  anotherForwarder(): Promise<RunningProcess>;
}

/** The NDN name prefix of the tests. */
export const prefix = "/e2e/images";

/** Programs that {@link startWholePath} needs. */
export const wholePathPrograms = ["ndnd", "docker-registry"] as const;

/** For tests that want every byte over NDN, also where the first one takes a second. */
export const overNdnOnly = ["--hedge", "off"] as const;

/** Start all parts, each in a folder of its own on the stage, which stops them. */
export async function startWholePath(stage: Stage, options: WholePathOptions = {}): Promise<WholePath> {
  const folder = (name: string) => folderIn(stage, name);
  const socket = join(await folder("nfd"), "nfd.sock");
  const capacity = options.capacity ?? 32_768;
  const uplinkAt = (path: string) => ["--name", prefix, "--uplink", `unix://${path}`];
  const anotherForwarder = async () => stage.own(await startNdnd({ socket, capacity }));
  const [forwarder, registry] = await Promise.all([
    anotherForwarder(),
    startDockerRegistry({ folder: await folder("registry") }),
  ]);
  stage.own(registry);
  const anchor = join(stage.folder, "anchor.ndncert");
  const [exported, trusted] = options.anchored
    ? [
        ["--export-anchor", anchor],
        ["--anchor", anchor],
      ]
    : [[], []];
  const serverArgs = [...uplinkAt(socket), "--registry", registry.url, ...exported, ...(options.server ?? [])];
  const near = options.relayed ? join(stage.folder, "relay.sock") : socket;
  const relay = options.relayed
    ? stage.own(await startLinkRelay({ listen: near, target: socket, up: {}, down: {}, seed: 1 }))
    : undefined;
  const clientArgs = [...uplinkAt(near), "--upstream", registry.url, ...trusted, ...(options.client ?? [])];
  const servers: RunningProgram[] = [];
  const anotherServer = async (name: string) => {
    const server = stage.own(await startServer({ folder: await folder(name), args: serverArgs }));
    await untilConnected(server);
    servers.push(server);
    return server;
  };
  const server = await anotherServer("server");
  const { login } = options;
  const client = stage.own(
    await startClient({ folder: await folder("client"), args: clientArgs, ...(login && { login }) }),
  );
  await untilConnected(client);
  const alive = () => servers.filter(({ process }) => process.exit === undefined);
  return { registry, forwarder, server, client, socket, relay, servers: alive, anotherServer, anotherForwarder };
}

async function untilConnected(program: RunningProgram): Promise<void> {
  await until(
    `uplink, registration and upstream of ${program.url}`,
    async () => (await program.missing()).length === 0,
  );
}

async function folderIn(stage: Stage, name: string): Promise<string> {
  const path = join(stage.folder, name);
  await mkdir(path, { recursive: true });
  return path;
}
