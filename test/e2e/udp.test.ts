/** Blobs over UDP through a real forwarder, at either end of it. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, startClient, startServer } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { overNdnOnly, prefix, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/udp";
const sizeBytes = 20_000_000;
const patience = { timeout: 60_000 };

describeWith(wholePathPrograms, "UDP", () => {
  const stage = useStage();
  let registry: DockerRegistry;
  let unix: string;
  let udp: string;

  beforeAll(async () => {
    const socket = join(await stage.newFolder("nfd"), "nfd.sock");
    const udpPort = await freePort();
    stage.own(await startNdnd({ socket, udpPort }));
    registry = stage.own(await startDockerRegistry({ folder: await stage.newFolder("registry") }));
    [unix, udp] = [`unix://${socket}`, `udp://127.0.0.1:${udpPort}`];
  }, 60_000);

  /** Read a fresh blob; the result is how many of its bytes came over NDN. */
  async function pull(name: string, server: readonly string[], client: readonly string[]): Promise<number> {
    const bytes = randomBytesOf(`udp ${name}`, sizeBytes);
    const { digest } = await pushBlob(registry.url, repository, bytes);
    const common = ["--name", `${prefix}/${name}`];
    await using from = await startServer({
      folder: await stage.newFolder("server"),
      args: [...common, "--registry", registry.url, ...server],
    });
    await until("the server's uplinks", async () => (await from.missing()).length === 0);
    await using to = await startClient({
      folder: await stage.newFolder("client"),
      args: [...common, "--upstream", registry.url, ...overNdnOnly, ...client],
    });
    await until("the client's uplink", async () => (await to.missing()).length === 0);
    const response = await fetch(`${to.url}/v2/${repository}/blobs/${digest}`);
    expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(digest);
    return (await blobBytes(to)).ndn;
  }

  test("a client over UDP pulls from a server on the forwarder's unix socket", patience, async () => {
    expect(await pull("client", ["--uplink", unix], ["--uplink", udp])).toBe(sizeBytes);
  });

  test("a server over UDP serves a client on the forwarder's unix socket", patience, async () => {
    expect(await pull("server", ["--uplink", udp], ["--uplink", unix])).toBe(sizeBytes);
  });

  test("a client over UDP pulls from a server without a forwarder", patience, async () => {
    const direct = `udp://127.0.0.1:${await freePort()}`;
    expect(await pull("direct", ["--face", direct], ["--uplink", direct])).toBe(sizeBytes);
  });

  test("both over UDP", patience, async () => {
    expect(await pull("both", ["--uplink", udp], ["--uplink", udp])).toBe(sizeBytes);
  });

  test("a forwarder that is gone is noticed at once, and used again when it is back", patience, async () => {
    const socket = join(await stage.newFolder("gone"), "nfd.sock");
    const udpPort = await freePort();
    const common = ["--name", `${prefix}/gone`];
    const first = stage.own(await startNdnd({ socket, udpPort }));
    await using server = await startServer({
      folder: await stage.newFolder("server"),
      args: [...common, "--registry", registry.url, "--uplink", `unix://${socket}`],
    });
    await using client = await startClient({
      folder: await stage.newFolder("client"),
      args: [...common, "--upstream", registry.url, "--uplink", `udp://127.0.0.1:${udpPort}`],
    });
    const isUp = async () => (await client.missing()).length === 0 && (await server.missing()).length === 0;
    const read = async (name: string) => {
      const { digest } = await pushBlob(registry.url, repository, randomBytesOf(name, 100_000));
      const response = await fetch(`${client.url}/v2/${repository}/blobs/${digest}`);
      expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(digest);
      return blobBytes(client);
    };
    await until("both uplinks", isUp);
    await first.stop();
    expect(await read("while it is gone")).toMatchObject({ ndn: 0, upstream: 100_000 });
    await until("the client to say so", async () => (await client.missing()).length > 0);
    expect(client.process.log().match(/cannot be reached/g)?.length ?? 0).toBeLessThanOrEqual(1);
    await using _second = await startNdnd({ socket, udpPort });
    await until("both uplinks again", isUp, 20_000);
    expect(await read("when it is back")).toMatchObject({ ndn: 100_000, upstream: 100_000 });
  });
});
