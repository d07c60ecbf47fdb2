/** `kill -HUP` of the programs: they read their files again and stay. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { renewCertificate } from "#ndn/trust/key-renewal.ts";
import { inspectKeychain, newKey } from "#ndn/trust/keychain.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { freePort } from "#test/support/free-port.ts";
import { checkout } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { startRegistry } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { type RunningProgram, startBothHalves, startClient, startServer } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const stage = useStage();
const nowhere = ["--uplink", "unix:///nobody/here.sock"];
const bytes = randomBytesOf("after a hangup", 100_000);
const repository = "team/app";
const blobPath = `/v2/${repository}/blobs/${digestOf(bytes)}`;

/** Send it, and wait for what the program says of it. */
async function hangUp({ process }: RunningProgram, word: RegExp): Promise<string> {
  const before = process.log().length;
  process.signal("SIGHUP");
  await until(`${word} in the log`, () => word.test(process.log().slice(before)));
  return process.log().slice(before);
}

async function registryOfBlob() {
  const registry = await startRegistry();
  stage.own({ [Symbol.asyncDispose]: () => registry.close() });
  registry.addBlob(repository, bytes);
  return registry;
}

describe("the client", () => {
  test("serves another registry, keeps what it has when the file is wrong, and ends by SIGTERM as ever", async () => {
    const [one, two] = [await registryOfBlob(), await registryOfBlob()];
    const folder = await stage.newFolder("client");
    const config = join(folder, "client.yaml");
    const write = (...entries: readonly [string, URL][]) =>
      writeFile(
        config,
        `registries:\n${entries.map(([name, { href }]) => `  ${name}:\n    upstream: ${href}\n`).join("")}`,
      );
    await write(["one.example", one.url]);
    const client = stage.own(await startClient({ folder, args: ["--config", config, ...nowhere] }));
    const statusOf = async (name: string) => (await fetch(`${client.url}${blobPath}?ns=${name}`)).status;
    expect([await statusOf("one.example"), await statusOf("two.example")]).toEqual([200, 404]);
    await write(["one.example", one.url], ["two.example", two.url]);
    await hangUp(client, /"reloaded"/);
    expect([await statusOf("one.example"), await statusOf("two.example")]).toEqual([200, 200]);
    await writeFile(config, "registries:\n  one.example:\n    upsteam: a\n");
    const said = await hangUp(client, /the old one stays in use/);
    expect(said).toMatch(/client\.yaml:3:5: .*did you mean upstream/);
    expect([await statusOf("one.example"), await statusOf("two.example")]).toEqual([200, 200]);
    await client.process.stop();
    expect(client.process.exit).toBe(0);
  });
});

test("one that comes while the program ends changes nothing", async () => {
  const folder = await stage.newFolder("ending");
  const client = stage.own(
    await startClient({
      folder,
      args: ["--name", "/n", "--upstream", "http://127.0.0.1:1", ...nowhere],
      mayBeUnready: true,
    }),
  );
  await hangUp(client, /"reloaded"/); // from then on it hears of signals
  for (const signal of ["SIGHUP", "SIGTERM", "SIGHUP", "SIGHUP"] as const) client.process.signal(signal);
  await until("the end", () => client.process.exit !== undefined);
  expect(client.process.exit).toBe(0);
});

describe("the server", () => {
  test("signs with the renewed key, and with the old one while the new is broken", async () => {
    const registry = await registryOfBlob();
    const folder = await stage.newFolder("server");
    const anchor = join(folder, "anchor.ndncert");
    const face = `tcp://127.0.0.1:${await freePort()}`;
    const args = ["--registry", registry.url.href, "--name", "/hup", "--face", face, "--export-anchor", anchor];
    const server = stage.own(await startServer({ folder, args }));
    const keychain = join(folder, "keychain");
    const first = (await inspectKeychain(keychain)).certificate;
    await renewCertificate(keychain, newKey(), Date.now());
    const second = (await inspectKeychain(keychain)).certificate;
    expect(await hangUp(server, /"reloaded: /)).toContain(second.digest);
    const client = await stage.newFolder("anchored");
    const own = ["--upstream", registry.url.href, "--name", "/hup", "--uplink", face, "--hedge", "off"];
    const anchored = stage.own(await startClient({ folder: client, args: [...own, "--anchor", second.digest] }));
    await until("all to be well", async () => (await anchored.missing()).length === 0);
    const answer = await fetch(anchored.url + blobPath);
    expect(answer.headers.get("x-blob-source")).toBe("ndn");
    expect(digestOf(Buffer.from(await answer.arrayBuffer()))).toBe(digestOf(bytes));
    await writeFile(join(keychain, "signing-key.pem"), "broken");
    expect(await hangUp(server, /the key cannot be used; the old one stays in use/)).not.toContain("reloaded");
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(first.digest).not.toBe(second.digest);
    expect(parseName("/hup")).toBeDefined();
  });
});

test("start reloads both halves, also when it is told several times at once", async () => {
  const registry = await registryOfBlob();
  const folder = await stage.newFolder("start");
  const both = stage.own(await startBothHalves({ folder, args: ["--upstream", registry.url.href] }));
  for (let nth = 0; nth < 20; nth++) both.process.signal("SIGHUP");
  await hangUp(both, /"reloaded"/);
  const answer = await fetch(both.url + blobPath);
  expect([answer.status, both.process.exit]).toEqual([200, undefined]);
});

describeWith(["python3"], "a terminal", () => {
  test("that is closed ends the program that was started in it", async () => {
    const folder = await stage.newFolder("terminal");
    const script = `
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while b"endpoint is open" not in seen: seen += os.read(terminal, 4096)
os.close(terminal)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))`;
    const args = [
      join(checkout, "cli/main.js"),
      "client",
      "--name",
      "/n",
      "--upstream",
      "http://127.0.0.1:1",
      ...nowhere,
    ];
    const listen = ["--listen", "127.0.0.1:0", "--cache-size", "0"];
    const { stdout } = await run("python3", ["-c", script, process.execPath, ...args, ...listen], {
      cwd: folder,
      env: testEnvironment({}),
      timeoutMs: 30_000,
    });
    expect(stdout).toBe("0\n");
  });
});
