/**
 * containerd 2.4 with parallel layer fetch: each layer in pieces of 8 MiB by 4 workers, each of which asks for
 * everything from its piece on and closes the connection when it has the piece.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { sumOf } from "#test/support/metrics.ts";
import { startContainerd, writeHosts } from "#test/support/programs/containerd.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import {
  blobBytes,
  payloadSent,
  type RunningProgram,
  startClient,
  startServer,
} from "#test/support/running-program.ts";
import { pushImageOf, type SmallImage, tarOf } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { goProgram } from "./go-programs.ts";

const repository = "team/app/parallel";
const prefix = "/interop/images";
const layerBytes = 42_000_000;
const workers = 4;

/** Bytes that one pull moved, in shares of the image. */
interface Shares {
  /** What the client says that it handed to the puller, which closes early and so takes more than the image. */
  readonly ndn: number;
  readonly upstream: number;
  readonly store: number;
  /** What the server sent in segments. */
  readonly overNdn: number;
  /** What the registry wrote to the client. */
  readonly fromRegistry: number;
}

const kinds = ["ndn", "upstream", "store", "overNdn", "fromRegistry"] as const;

interface Row extends Partial<Shares> {
  readonly pull: string;
  readonly seconds: number;
}

describe("containerd 2.4 with parallel layer fetch", () => {
  const stage = useStage();
  const rows: Row[] = [];
  let registry: DockerRegistry;
  let server: RunningProgram;
  let image: SmallImage;
  let face: string;
  let anchor: string;

  beforeAll(async () => {
    registry = stage.own(await startDockerRegistry({ folder: await stage.newFolder("registry") }));
    // The server reads through a registry of its own, so that the log of the other one is of the client alone.
    const { storage } = registry;
    const behind = stage.own(await startDockerRegistry({ folder: await stage.newFolder("behind"), storage }));
    image = await pushImageOf(registry.url, repository, await layers());
    face = `tcp://127.0.0.1:${await freePort()}`;
    anchor = join(stage.folder, "anchor.ndncert");
    const args = ["--name", prefix, "--registry", behind.url, "--face", face, "--export-anchor", anchor];
    server = stage.own(await startServer({ folder: await stage.newFolder("server"), args }));
  });

  afterAll(() => console.table(rows, ["pull", "seconds", ...kinds]));

  /** Pull with a containerd that has nothing yet; resolves with the seconds that it took. */
  async function pull(endpoint?: string): Promise<number> {
    const folder = await stage.newFolder("containerd");
    const hosts = join(folder, "certs.d");
    await writeHosts(hosts, registry.host, endpoint);
    const programs = { containerd: goProgram("containerd"), ctr: goProgram("ctr") };
    await using daemon = await startContainerd(folder, { programs, config: parallelFetch });
    const name = `${registry.host}/${repository}:latest`;
    const begun = performance.now();
    await daemon.ctr("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", name);
    const seconds = (performance.now() - begun) / 1000;
    expect(await daemon.ctr("images", "list", `name==${name}`)).toContain(image.manifest.digest);
    const content = await daemon.ctr("content", "list", "--quiet");
    for (const digest of image.digests) expect(content).toContain(digest); // containerd has verified them
    return seconds;
  }

  async function pullThrough(client: RunningProgram, name: string): Promise<Shares> {
    const before = await counted(client);
    const seconds = await pull(client.url);
    // What the puller has left may still be on its way into the store.
    await until(
      "fetches to end",
      async () => sumOf(await client.metrics(), "ndn_registry_fetches_in_flight") === 0,
      60_000,
    );
    const after = await counted(client);
    const share = (key: keyof Shares) => round((after[key] - before[key]) / image.blobBytes);
    const shares = Object.fromEntries(kinds.map((key) => [key, share(key)])) as unknown as Shares;
    rows.push({ pull: name, seconds: round(seconds), ...shares });
    return shares;
  }

  async function counted(client: RunningProgram): Promise<Shares> {
    return {
      ...(await blobBytes(client)),
      overNdn: await payloadSent(server),
      fromRegistry: await registry.blobBytes(),
    };
  }

  async function clientWith(...args: string[]): Promise<RunningProgram> {
    const common = ["--name", prefix, "--uplink", face, "--upstream", registry.url];
    return stage.own(await startClient({ folder: await stage.newFolder("client"), args: [...common, ...args] }));
  }

  test("pulls straight", async () => {
    for (const name of ["straight, first", "straight"]) {
      const before = await registry.blobBytes();
      const seconds = round(await pull());
      rows.push({
        pull: name,
        seconds,
        fromRegistry: round(((await registry.blobBytes()) - before) / image.blobBytes),
      });
    }
  });

  describe.each(["without an anchor", "with an anchor"])("%s", (name) => {
    const trust = () => (name === "with an anchor" ? ["--anchor", anchor] : []);

    test("pulls cold, then warm from the store", async () => {
      const client = await clientWith(...trust());
      await pullThrough(client, `${name}, cold`);
      await pullThrough(client, `${name}, warm`);
    });

    test("pulls without a store", async () => {
      const client = await clientWith("--cache-size", "0", ...trust());
      await pullThrough(client, `${name}, no store`);
    });
  });
});

async function layers(): Promise<Buffer[]> {
  return Promise.all([0, 1, 2, 3].map((nth) => tarOf(`layer-${nth}`, randomBytesOf(`parallel ${nth}`, layerBytes))));
}

/** Here `config_path` is read by no one: the transfer service gets the folder of `hosts.toml` from `ctr --hosts-dir`. */
const parallelFetch = `[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = ${workers}
  concurrent_layer_fetch_buffer = ${8 * 1024 * 1024}
  [[plugins."io.containerd.transfer.v1.local".unpack_config]]
    platform = "linux/${process.arch === "x64" ? "amd64" : process.arch}"
    snapshotter = "native"
`;

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
