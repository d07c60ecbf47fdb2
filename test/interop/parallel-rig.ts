/**
 * An image of 168 MB in 4 layers, a server that publishes it, and containerd 2.4, which fetches layers in pieces of
 * 8 MiB by 4 workers: each asks for everything from its piece on, and closes the connection when it has the piece.
 */
import { join } from "node:path";
import { expect } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { type ByteLinkOptions, startByteRelay } from "#test/support/link/byte-relay.ts";
import { sumOf } from "#test/support/metrics.ts";
import { startContainerd, writeHosts } from "#test/support/programs/containerd.ts";
import { startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import {
  blobBytes,
  payloadSent,
  type RunningProgram,
  startClient,
  startServer,
} from "#test/support/running-program.ts";
import { pushImageOf, tarOf } from "#test/support/small-image.ts";
import type { Stage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { goProgram } from "./go-programs.ts";

const repository = "team/app/parallel";
const prefix = "/interop/images";
const layerBytes = 42_000_000;

/** One pull; bytes are shares of the image. */
export interface Pulled {
  readonly seconds: number;
  /** What the client handed to the puller, which closes early and so takes more than the image. */
  readonly ndn: number;
  readonly upstream: number;
  readonly store: number;
  /** What the server sent in segments. */
  readonly overNdn: number;
  /** What the registry wrote to the client, or to a puller that came straight. */
  readonly fromRegistry: number;
}

/** How containerd fetches layers. */
export type Fetch = "parallel" | "single";

/** Options of {@link ParallelRig.client}. */
export interface ClientOptions {
  /** @defaultValue the client's own defaults */
  readonly args?: readonly string[];
  /** Between the client and the server, and between the client and the registry. @defaultValue none */
  readonly link?: ByteLinkOptions;
}

/** A client, and its registry as pullers have to call it. */
export interface RigClient extends RunningProgram {
  /** `127.0.0.1:PORT`; of the link to the registry, where there is one. */
  readonly registry: string;
}

/** What pulls are measured with. */
export interface ParallelRig {
  /** Certificate of the server. */
  readonly anchor: string;
  /** Start a client with an empty store. */
  client(options?: ClientOptions): Promise<RigClient>;
  /** Pull through a client, or straight, with a containerd that has nothing yet. */
  pull(client: RigClient | undefined, fetch?: Fetch): Promise<Pulled>;
}

/** Push the image and start the server; the stage stops everything. */
export async function startParallelRig(stage: Stage): Promise<ParallelRig> {
  const registry = stage.own(await startDockerRegistry({ folder: await stage.newFolder("registry") }));
  // The server reads through a registry of its own, so that the log of the other one is of the client alone.
  const { storage } = registry;
  const behind = stage.own(await startDockerRegistry({ folder: await stage.newFolder("behind"), storage }));
  const layers = [0, 1, 2, 3].map((nth) => tarOf(`layer-${nth}`, randomBytesOf(`parallel ${nth}`, layerBytes)));
  const image = await pushImageOf(registry.url, repository, await Promise.all(layers));
  const port = await freePort();
  const anchor = join(stage.folder, "anchor.ndncert");
  const face = ["--face", `tcp://127.0.0.1:${port}`, "--export-anchor", anchor];
  const args = ["--name", prefix, "--registry", behind.url, ...face];
  const server = stage.own(await startServer({ folder: await stage.newFolder("server"), args }));

  /** Port of the far end of a link. */
  async function linkTo(targetPort: number, link: ByteLinkOptions | undefined): Promise<number> {
    if (link === undefined) return targetPort;
    return stage.own(await startByteRelay({ targetPort, up: link, down: link })).port;
  }

  async function startOne({ args = [], link }: ClientOptions = {}): Promise<RigClient> {
    const far = `127.0.0.1:${await linkTo(Number(new URL(registry.url).port), link)}`;
    const uplink = `tcp://127.0.0.1:${await linkTo(port, link)}`;
    const common = ["--name", prefix, "--uplink", uplink, "--upstream", `http://${far}`];
    const folder = await stage.newFolder("client");
    return { ...stage.own(await startClient({ folder, args: [...common, ...args] })), registry: far };
  }

  async function secondsOf(client: RigClient | undefined, fetch: Fetch): Promise<number> {
    const host = client?.registry ?? registry.host;
    const folder = await stage.newFolder("containerd");
    const hosts = join(folder, "certs.d");
    await writeHosts(hosts, host, client?.url);
    const programs = { containerd: goProgram("containerd"), ctr: goProgram("ctr") };
    await using daemon = await startContainerd(folder, { programs, config: configurations[fetch] });
    const name = `${host}/${repository}:latest`;
    const begun = performance.now();
    await daemon.ctr("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", name);
    const seconds = (performance.now() - begun) / 1000;
    expect(await daemon.ctr("images", "list", `name==${name}`)).toContain(image.manifest.digest);
    const content = await daemon.ctr("content", "list", "--quiet");
    for (const digest of image.digests) expect(content).toContain(digest); // containerd has verified them
    return seconds;
  }

  async function bytesNow(client: RunningProgram | undefined): Promise<Record<string, number>> {
    const handedOut = client === undefined ? {} : await blobBytes(client);
    return { ...handedOut, overNdn: await payloadSent(server), fromRegistry: await registry.blobBytes() };
  }

  async function pull(client: RigClient | undefined, fetch: Fetch = "parallel"): Promise<Pulled> {
    const before = await bytesNow(client);
    const seconds = round(await secondsOf(client, fetch));
    if (client) await untilIdle(client);
    const shares = Object.entries(await bytesNow(client)).map(([source, bytes]) => [
      source,
      round((bytes - before[source]!) / image.blobBytes),
    ]);
    return { ndn: 0, upstream: 0, store: 0, ...Object.fromEntries(shares), seconds };
  }

  return { anchor, client: startOne, pull };
}

/** Nearly all of it came over NDN, and hardly a byte of it twice. */
export function expectOnceOverNdn({ overNdn, fromRegistry }: Pulled): void {
  expect(overNdn).toBeGreaterThanOrEqual(0.95);
  expect(overNdn + fromRegistry).toBeLessThanOrEqual(1.05);
}

/** What the puller has left may still be on its way into the store. */
async function untilIdle(client: RunningProgram): Promise<void> {
  const fetches = async () => sumOf(await client.metrics(), "ndn_registry_fetches_in_flight");
  await until("fetches to end", async () => (await fetches()) === 0, 60_000);
}

const nativeSnapshots = `[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "native"
`;
const configurations = {
  single: nativeSnapshots,
  // Here `config_path` is read by no one: the transfer service gets the folder of `hosts.toml` from `ctr --hosts-dir`.
  parallel: `[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = 4
  concurrent_layer_fetch_buffer = ${8 * 1024 * 1024}
${nativeSnapshots}`,
};

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
