/** The launchers themselves: without them no other test of the whole path says anything. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { startProcess } from "#test/support/process.ts";
import { startDockerRegistry, testLogin } from "#test/support/programs/docker-registry.ts";
import { startDockerd } from "#test/support/programs/dockerd.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { findProgram, missingPrograms, programPath, variableOf } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { useStage } from "#test/support/stage.ts";

const stage = useStage();

async function folder(name: string): Promise<string> {
  const path = join(stage.folder, name);
  await mkdir(path, { recursive: true });
  return path;
}

test("a program that ends before it is ready is an error with the end of its output", async () => {
  const options = { command: process.execPath, args: ["-e", "console.log('no disk'); process.exit(3)"] };
  const start = startProcess({ ...options, logFile: join(stage.folder, "ends.log"), ready: () => false });
  await expect(start).rejects.toThrow(/ended with 3.*no disk/s);
});

test("a program that cannot be started is an error", async () => {
  const start = startProcess({
    command: join(stage.folder, "none"),
    args: [],
    logFile: join(stage.folder, "none.log"),
  });
  await expect(start).rejects.toThrow(/ENOENT/);
});

test("a program that ignores SIGTERM is killed after the time limit", async () => {
  const deaf = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
  const program = await startProcess({
    command: process.execPath,
    args: ["-e", deaf],
    logFile: join(stage.folder, "deaf.log"),
    stopTimeoutMs: 100,
    ready: (running) => running.log().includes("up"),
  });
  await program.stop();
  expect(program.exit).toBe("SIGKILL");
});

test("a program is named by its variable before PATH, and is missing when the variable is wrong", () => {
  expect(variableOf("docker-registry")).toBe("DOCKER_REGISTRY");
  expect(findProgram("sh")).toMatch(/\/sh$/);
  process.env.SH = process.execPath;
  expect(findProgram("sh")).toBe(process.execPath);
  process.env.SH = "/nowhere/sh";
  expect(missingPrograms(["sh", "cat"])).toEqual(["sh"]);
  delete process.env.SH;
});

test("metrics are summed over the labels that were not asked for", () => {
  const samples = parseMetrics('# HELP a b\na{x="1",y="2"} 3\na{x="1",y="3"} 4 1700000000000\nb 5\n');
  expect([sumOf(samples, "a", { x: "1" }), sumOf(samples, "a", { y: "3" }), sumOf(samples, "b")]).toEqual([7, 4, 5]);
});

test("random bytes of a seed are the same everywhere", () => {
  const known = "sha256:4056b8e85ed8c24e8d22e069ba9aa92193e23ffa91a955dd1feb955ae172e082";
  expect(digestOf(randomBytesOf("seed", 1000))).toBe(known);
});

describeWith(["ndnd"], "ndnd", () => {
  test("what is put under a name can be fetched through the forwarder, which removes its socket when stopped", async () => {
    const socket = join(await folder("ndnd"), "nfd.sock");
    const forwarder = await startNdnd({ socket });
    const env = { NDN_CLIENT_TRANSPORT: `unix://${socket}` };
    const put = { command: "sh", args: ["-c", `echo hello | exec ${programPath("ndnd")} put /greeting`], env };
    await using producer = await startProcess({ ...put, logFile: join(stage.folder, "put.log") });
    expect((await run(programPath("ndnd"), ["cat", "/greeting"], { env })).stdout).toBe("hello\n");
    await producer.stop();
    await forwarder.stop();
    expect(existsSync(socket)).toBe(false);
  });
});

describeWith(["docker-registry"], "docker-registry", () => {
  test("a blob that was pushed is in the storage, and the requests are listed", async () => {
    await using registry = await startDockerRegistry({ folder: await folder("registry") });
    const { digest } = await pushBlob(registry.url, "team/app/web", Buffer.from("x"));
    const link = `docker/registry/v2/repositories/team/app/web/_layers/sha256/${digest.slice(7)}/link`;
    expect(existsSync(join(registry.storage, link))).toBe(true);
    expect(await registry.requests()).toContain("POST /v2/team/app/web/blobs/uploads/ 202");
  });

  test("a registry with a login refuses strangers", async () => {
    await using registry = await startDockerRegistry({ folder: await folder("login"), auth: true });
    const { username, password } = testLogin;
    const headers = { Authorization: `Basic ${btoa(`${username}:${password}`)}` };
    expect((await fetch(`${registry.url}/v2/`)).status).toBe(401);
    expect((await fetch(`${registry.url}/v2/`, { headers })).status).toBe(200);
  });

  test("a pull-through cache serves what the other registry has", async () => {
    await using origin = await startDockerRegistry({ folder: await folder("origin") });
    await using cache = await startDockerRegistry({ folder: await folder("cache"), proxyRemote: origin.url });
    const { digest } = await pushBlob(origin.url, "app", Buffer.from("cached"));
    expect(await (await fetch(`${cache.url}/v2/app/blobs/${digest}`)).text()).toBe("cached");
  });
});

describeWith(["root", "dockerd", "docker"], "dockerd", () => {
  test("an engine of one's own answers and leaves nothing mounted", { timeout: 90_000 }, async () => {
    const path = await folder("dockerd");
    const engine = await startDockerd({ folder: path });
    expect(await engine.docker("images", "--quiet")).toBe("");
    await engine[Symbol.asyncDispose]();
    expect((await run("cat", ["/proc/self/mounts"])).stdout).not.toContain(path);
  });
});
