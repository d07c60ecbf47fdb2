/** Both halves as containers, built from the Dockerfiles and run without root. */
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { baseImagePrograms, importBaseImage } from "#test/support/programs/base-image.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { type Dockerd, startDockerd } from "#test/support/programs/dockerd.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { pushSmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const repository = "team/app/contained";
const needed = [...baseImagePrograms, "dockerd", "docker", "docker-registry", "ndnd", "busybox"];
const half = 300_000;

describeWith(needed, "containers", () => {
  const stage = useStage();
  let engine: Dockerd;
  let registry: DockerRegistry;
  let socketFolder: string;

  beforeAll(async () => {
    const folder = async (name: string) => {
      await mkdir(join(stage.folder, name));
      return join(stage.folder, name);
    };
    engine = stage.own(await startDockerd({ folder: await folder("engine") }));
    registry = stage.own(await startDockerRegistry({ folder: await folder("registry") }));
    const socket = join(await folder("nfd"), "nfd.sock");
    stage.own(await startNdnd({ socket }));
    await chmod(stage.folder, 0o755);
    await chmod(socket, 0o666); // as NFD makes it
    socketFolder = dirname(socket);
    await importBaseImage(engine, "node-base:24");
  }, half);

  afterAll(clear, 60_000);

  /** Remove all containers, and the image that was pulled. */
  async function clear(): Promise<void> {
    const ids = async (...list: string[]) =>
      (await engine.docker(...list, "--quiet")).split("\n").filter((id) => id !== "");
    const containers = await ids("ps", "--all");
    if (containers.length > 0) await engine.docker("rm", "--force", "--volumes", ...containers);
    const images = await ids("images", "--filter", `reference=*/${repository}`);
    if (images.length > 0) await engine.docker("rmi", "--force", ...images);
  }

  async function build(verb: string): Promise<void> {
    const dockerfile = ["--file", join(checkout, `${verb}.Dockerfile`), "--build-arg", "NODE_IMAGE=node-base:24"];
    const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].filter((name) => process.env[name] !== undefined);
    const network = ["--network", "host", ...proxies.flatMap((name) => ["--build-arg", name])];
    const args = ["build", "--quiet", ...network, ...dockerfile, "--tag", `ndn-registry-${verb}`, checkout];
    const ofMachine = Object.fromEntries(proxies.map((name) => [name, process.env[name]]));
    await run(programPath("docker"), args, { env: { ...engine.env, ...ofMachine } });
  }

  async function start(verb: string, listen: string, args: readonly string[]): Promise<void> {
    const host = ["--network", "host", "--env", listen, "--volume", `${socketFolder}:/run/nfd:ro`, "--read-only"];
    const health = ["--health-interval", "1s"];
    const image = `ndn-registry-${verb}`;
    await engine.docker(
      "run",
      "--detach",
      "--name",
      verb,
      ...host,
      ...health,
      image,
      "--name",
      "/e2e/contained",
      ...args,
    );
  }

  async function untilHealthy(verb: string): Promise<void> {
    const health = () => engine.docker("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", verb);
    await until(`the ${verb} to be healthy`, async () => (await health()) === "running healthy", 30_000).catch(
      async (err: unknown) => {
        throw new Error(await engine.docker("logs", verb), { cause: err });
      },
    );
  }

  test("both Dockerfiles build", { timeout: half }, async () => {
    await build("server");
    await build("client");
    expect(await engine.docker("run", "--rm", "--network", "host", "ndn-registry-client", "--help")).toContain(
      "--upstream",
    );
  });

  test("an image is pulled over NDN through the two containers, which are not root", { timeout: 90_000 }, async () => {
    await clear(); // of a try before this one
    const image = await pushSmallImage(registry.url, repository, randomBytesOf("contained", 5_000_000));
    const client = `127.0.0.1:${await freePort()}`;
    const status = `127.0.0.1:${await freePort()}`;
    await start("server", `DOCKER_NDN_STATUS=${status}`, ["--registry", registry.url]);
    await start("client", `DOCKER_NDN_LISTEN=${client}`, ["--upstream", registry.url]);
    await Promise.all([untilHealthy("server"), untilHealthy("client")]);
    await until("the server's routes", async () => (await fetch(`http://${status}/readyz`)).ok);
    await engine.docker("pull", `${client}/${repository}`);
    const samples = parseMetrics(await (await fetch(`http://${client}/metrics`)).text());
    expect(sumOf(samples, "ndn_registry_blob_bytes_total", { source: "ndn" })).toBe(image.blobBytes);
    expect(await engine.docker("exec", "server", "id", "-u")).toBe("65532");
    expect(await engine.docker("exec", "client", "id", "-u")).toBe("65532");
  });

  test("docker stop ends both at once and cleanly", { timeout: 60_000 }, async () => {
    await engine.docker("start", "server", "client"); // a try before this one has stopped them
    await Promise.all([untilHealthy("server"), untilHealthy("client")]);
    await engine.docker("stop", "-t", "20", "server", "client");
    expect(await engine.docker("inspect", "--format", "{{.State.ExitCode}}", "server", "client")).toBe("0\n0");
  });
});
