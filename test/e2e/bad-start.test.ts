/** What an operator can get wrong, and what a machine can run out of: a clear word, and pulls that go on. */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { hash } from "bcryptjs";
import { beforeAll, describe, expect, test } from "vitest";
import { runExecutable } from "#test/cli/executable.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { freePort } from "#test/support/free-port.ts";
import { startProcess } from "#test/support/process.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { blobBytes, type RunningProgram, startClient } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";

const repository = "team/app/clumsy";
const stage = useStage();
const blobs = [3_000_000, 10_000_000, 20_000].map((size, nth) => randomBytesOf(`clumsy ${nth}`, size));
let registry: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry();
  stage.own({ [Symbol.asyncDispose]: () => registry.close() });
  registry.addImage(repository, "latest", blobs);
});

const upstream = () => ["--name", "/n", "--upstream", registry.url.href, "--uplink", "unix:///nobody/here.sock"];

async function start(name: string, args: readonly string[]): Promise<RunningProgram> {
  return stage.own(await startClient({ folder: await stage.newFolder(name), args: [...upstream(), ...args] }));
}

/** All blobs, twice. */
async function expectPulls(client: RunningProgram): Promise<void> {
  for (const bytes of [...blobs, ...blobs]) {
    const digest = digestOf(bytes);
    const pulled = await fetchBlob(client.url, repository, digest);
    expect(pulled).toEqual({ digest, sizeBytes: bytes.length, isComplete: true });
  }
}

async function missingOf(client: RunningProgram): Promise<string> {
  const answer = await fetch(`${client.url}/readyz`);
  expect(answer.status).toBe(200);
  return answer.text();
}

describe("a start that cannot be meant ends with status 2 and says where to look", () => {
  async function refusal(args: readonly string[]): Promise<string> {
    const { status, stderr } = await runExecutable(["client", "--log-level", "fatal", ...args], { cwd: stage.folder });
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^ndn-registry: /)]);
    return stderr;
  }

  test("a configuration file: every mistake with its line and column", { timeout: 60_000 }, async () => {
    const file = join(stage.folder, "wrong.yaml");
    await writeFile(file, "registries:\n  docker.io:\n    upsteam: https://a\n  ghcr.io:\n    offline: perhaps\n");
    const lines = (await refusal(["--config", file])).trimEnd().split("\n");
    expect(lines[0]).toContain(`${file}:3:5: `);
    expect(lines[0]).toContain("upstream");
    expect(lines[1]).toContain(`${file}:5:14: `);
    await writeFile(file, "registries:\n  docker.io: {\n");
    expect(await refusal(["--config", file])).toMatch(/wrong\.yaml:\d+:\d+: /);
    expect(await refusal(["--config", join(stage.folder, "none.yaml")])).toContain("none.yaml");
  });

  test("files of TLS and of logins: their names", { timeout: 60_000 }, async () => {
    const { certFile, keyFile } = await makeCertificate(stage.folder, "good");
    const other = await makeCertificate(stage.folder, "other");
    const broken = join(stage.folder, "broken.pem");
    await writeFile(broken, "not PEM");
    const refusalOf = (cert: string, key: string) => refusal([...upstream(), "--tls-cert", cert, "--tls-key", key]);
    expect(await refusalOf("/nobody/here.crt", keyFile)).toContain("/nobody/here.crt");
    expect(await refusalOf(broken, keyFile)).toContain(broken);
    expect(await refusalOf(certFile, broken)).toContain(broken);
    expect(await refusalOf(certFile, other.keyFile)).toContain(other.keyFile);
    expect(await refusal([...upstream(), "--tls-cert", certFile])).toContain("--tls-key");
    expect(await refusal([...upstream(), "--htpasswd", "/nobody/htpasswd"])).toContain("/nobody/htpasswd");
  });
});

describe("a cache that cannot be used costs its bytes, never a pull", () => {
  test("a file in the directory's place", async () => {
    const file = join(stage.folder, "a-file");
    await writeFile(file, "");
    const client = await start("file", ["--cache-dir", file]);
    expect(client.process.log()).toMatch(/a-file cannot hold a cache .*--cache-dir/s);
    expect(await missingOf(client)).toContain("cache");
    await expectPulls(client);
    expect((await blobBytes(client)).store).toBe(0);
  });

  test("a directory that another client has", { timeout: 60_000 }, async () => {
    const directory = await stage.newFolder("shared");
    const first = await start("one", ["--cache-dir", directory]);
    const second = await start("two", ["--cache-dir", directory]);
    expect(second.process.log()).toContain(directory);
    expect(await missingOf(second)).toContain("cache");
    expect(await missingOf(first)).not.toContain("cache");
    for (const client of [first, second]) await expectPulls(client);
    expect((await blobBytes(first)).store).toBeGreaterThan(0);
    expect((await blobBytes(second)).store).toBe(0);
    for (const { process } of [first, second]) await process.stop();
    const third = await start("one", ["--cache-dir", directory]);
    expect(await missingOf(third)).not.toContain("cache");
    await expectPulls(third);
    expect((await blobBytes(third)).upstream).toBe(0);
  });
});

describeWith(["root", "mount", "umount"], "a disk that is full", () => {
  test("holds what fits, and pulls go on", async () => {
    const directory = await stage.newFolder("tiny");
    await run(programPath("mount"), ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory]);
    try {
      const client = await start("full", ["--cache-dir", directory]);
      const [large, , small] = blobs.map(digestOf);
      for (const digest of [small!, small!, large!]) await fetchBlob(client.url, repository, digest);
      expect(client.process.log()).toContain("ENOSPC");
      expect((await blobBytes(client)).store).toBe(blobs[2]!.length);
      await expectPulls(client);
      await client.process.kill();
      const again = await start("full", ["--cache-dir", directory]);
      await expectPulls(again);
      await again.process.stop();
    } finally {
      await run(programPath("umount"), ["--lazy", directory]);
    }
  });
});

test("1000 connections that say nothing keep nobody from pulling", async () => {
  const client = await start("idle", []);
  const sockets: Socket[] = [];
  try {
    for (let nth = 0; nth < 1000; nth++) {
      const socket = connect(Number(new URL(client.url).port), "127.0.0.1");
      socket.on("error", () => {});
      sockets.push(socket);
      if (nth % 2 === 0) socket.write("GET /v2/ HTTP/1.1\r\nHost: a\r\n"); // and never an empty line
      if (nth % 100 === 99) await once(socket, "connect");
    }
    await Promise.all([1, 2, 3].map(() => expectPulls(client)));
    expect(sockets.filter(({ readyState }) => readyState === "open")).toHaveLength(1000);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await expectPulls(client);
});

describeWith(["curl", "skopeo", "openssl"], "an endpoint for a team, with TLS and logins", () => {
  let [url, host, cert]: [string, string, string] = ["", "", ""];

  beforeAll(async () => {
    const folder = join(stage.folder, "team");
    await mkdir(folder);
    const { certFile, keyFile } = await makeCertificate(folder, "ca");
    const htpasswd = join(folder, "htpasswd");
    await writeFile(htpasswd, `ann:${await hash("pw", 5)}\n`, { mode: 0o600 });
    host = `127.0.0.1:${await freePort()}`;
    [url, cert] = [`https://${host}`, certFile];
    const own = ["--tls-cert", certFile, "--tls-key", keyFile, "--htpasswd", htpasswd, "--listen", host];
    stage.own(
      await startProcess({
        command: process.execPath,
        args: [join(checkout, "cli/main.js"), "client", ...upstream(), ...own],
        cwd: folder,
        logFile: join(folder, "client.log"),
        ready: (program) => program.log().includes("endpoint is open"),
      }),
    );
  });

  test("curl is let in with a login, and not without", async () => {
    const curl = async (...args: string[]) =>
      (await run(programPath("curl"), ["-sS", "--cacert", cert, "-o", "/dev/null", "-w", "%{http_code}", ...args]))
        .stdout;
    expect(await curl(`${url}/v2/`)).toBe("401");
    expect(await curl("-u", "ann:wrong", `${url}/v2/`)).toBe("401");
    expect(await curl("-u", "ann:pw", `${url}/v2/`)).toBe("200");
    const blob = `${url}/v2/${repository}/blobs/${digestOf(blobs[0]!)}`;
    expect(await curl(blob)).toBe("401");
    expect(await curl("-u", "ann:pw", blob)).toBe("200");
    await expect(run(programPath("curl"), ["-sS", `${url}/v2/`])).rejects.toThrow(/certificate/);
  });

  test("skopeo pulls an image; the endpoint's login is not the registry's", async () => {
    const before = registry.requests.length;
    const certs = await stage.newFolder("certs");
    await run("cp", [cert, join(certs, "ca.crt")]);
    const copy = (login: readonly string[], name: string) =>
      run(programPath("skopeo"), [
        ...["copy", "--insecure-policy", "--src-cert-dir", certs, ...login],
        ...[`docker://${host}/${repository}:latest`, `dir:${join(stage.folder, name)}`],
      ]);
    await expect(copy([], "refused")).rejects.toThrow(/unauthorized|authentication required|401/i);
    await copy(["--src-creds", "ann:pw"], "pulled");
    const seen = registry.requests.slice(before).map(({ headers }) => headers.authorization);
    expect(seen.filter((authorization) => authorization !== undefined)).toEqual([]);
  });
});
