import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { openIdentity } from "#ndn/trust/keychain.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { checkout } from "#test/support/programs.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { runExecutable } from "./executable.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Run the executable to its end, with no variables of ours but these. */
const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runExecutable(args, { cwd: folder.path, env });

/** A port that is taken while `use` runs. */
async function takenPort(use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

const client = ["client", "--name", "/n", "--upstream", "http://127.0.0.1:1", "--uplink", "unix:///nobody/here.sock"];
const server = ["server", "--name", "/n", "--registry", "http://127.0.0.1:1", "--uplink", "unix:///nobody/here.sock"];

test("whoever reads only the beginning of what is printed ends it without a word", async () => {
  const keychain = join(folder.path, "keychain");
  await openIdentity(keychain, parseName("/n"));
  const command = [join(checkout, "cli/main.js"), "key", "show", "--keychain", keychain];
  const child = spawn(process.execPath, command, { env: testEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect([stderr, status]).toEqual(["", 0]);
});

describe("exit status 2 and one line on stderr", () => {
  test.each<[string, string[], RegExp]>([
    ["no verb", [], /a command is needed: start, server, client, .* or completion/],
    ["an unknown verb", ["serve"], /serve/],
    ["an unknown option", ["start", "--lisen", "127.0.0.1:0"], /lisen/],
    ["an option of another verb", ["client", "--registry", "http://a"], /registry/],
    ["an option without its value", ["start", "--listen"], /listen/],
    ["a missing option", ["server", "--name", "/n"], /--registry URL is required/],
    ["a bad value", [...client, "--max-cwnd", "many"], /--max-cwnd: "many"/],
    [
      "no upstream and no anchor",
      ["client", "--name", "/n", "--upstream", "none"],
      /--upstream none needs an --anchor/,
    ],
    ["manifests over NDN without an anchor", [...client, "--manifests", "ndn"], /--manifests ndn needs an --anchor/],
    [
      "manifests over NDN and rights",
      [...client, "--manifests", "ndn", "--anchor", `sha256:${"0".repeat(64)}`],
      /--manifests ndn needs --authorize none/,
    ],
    ["a time that is none", [...client, "--stale-tags", "soon"], /--stale-tags: "soon" is none of never, forever/],
    ["a value given twice", [...client, "--name", "/m"], /--name may be given only once/],
    ["a prefix that is too long", [...server.with(2, `/${"a".repeat(900)}`)], /--name: .*too long/],
    [
      "a storage that is not there",
      [...server, "--storage", "/nobody/here"],
      /--storage: .*nobody\/here.* is no directory/,
    ],
    ["a username without a password", server, /DOCKER_NDN_REGISTRY_USERNAME/],
  ])("for %s", async (what, args, message) => {
    const { status, stderr } = await run(
      args,
      what.startsWith("a username") ? { DOCKER_NDN_REGISTRY_USERNAME: "me" } : {},
    );
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(/^ndn-registry: /);
    expect(status).toBe(2);
  });

  test("for a bad value in the environment", async () => {
    const { status, stderr } = await run(client, { DOCKER_NDN_LISTEN: "nowhere" });
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^ndn-registry: DOCKER_NDN_LISTEN: .*\n$/)]);
  });

  test("for a password file that is not there", async () => {
    const env = { DOCKER_NDN_REGISTRY_USERNAME: "me", DOCKER_NDN_REGISTRY_PASSWORD_FILE: "/nobody/here" };
    const { status, stderr } = await run(server, env);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/^ndn-registry: DOCKER_NDN_REGISTRY_PASSWORD_FILE: .*\n$/),
    ]);
  });
});

describe("exit status 1", () => {
  test("for a taken port of the endpoint, naming --listen", async () => {
    await takenPort(async (port) => {
      const verbs = [client, ["start", "--upstream", "http://127.0.0.1:1"]];
      for (const verb of verbs) {
        const { status, stderr } = await run([...verb, "--listen", `127.0.0.1:${port}`, "--log-level", "fatal"]);
        expect(stderr).toBe(`ndn-registry: 127.0.0.1:${port} is taken by another program; choose another --listen\n`);
        expect(status).toBe(1);
      }
    });
  });

  test("for a taken face or status page, naming the option", async () => {
    await takenPort(async (port) => {
      const face = await run([...server, "--face", `tcp://127.0.0.1:${port}`, "--log-level", "fatal"]);
      expect([face.status, face.stderr]).toEqual([1, expect.stringContaining("choose another --face")]);
      const status = await run([...server, "--status", `127.0.0.1:${port}`, "--log-level", "fatal"]);
      expect([status.status, status.stderr]).toEqual([1, expect.stringContaining("choose another --status")]);
    });
  });

  test("for a broken keychain, saying what to do", async () => {
    const keychain = join(folder.path, "broken");
    await mkdir(keychain);
    await writeFile(join(keychain, "signing-key.pem"), "-----BEGIN PRIVATE KEY-----\nMIG");
    const { status, stderr } = await run([...server, "--keychain", keychain, "--log-level", "fatal"]);
    expect(stderr).toMatch(
      /^ndn-registry: keychain .*broken: .*; repair it, or name another directory with --keychain\n$/,
    );
    expect(status).toBe(1);
  });
});

test("an unknown DOCKER_NDN_ variable is one warning; those of other verbs are none", async () => {
  const env = {
    DOCKER_NDN_LISEN: "x",
    DOCKER_NDN_NOVELTY: "y",
    DOCKER_NDN_REGISTRY: "http://a",
    DOCKER_NDN_MAX_CWND: "0",
  };
  const { status, stderr } = await run(client, env);
  const lines = stderr.trimEnd().split("\n");
  expect(lines).toEqual([
    expect.stringMatching(
      /unknown environment variables: DOCKER_NDN_LISEN \(did you mean DOCKER_NDN_LISTEN\?\), DOCKER_NDN_NOVELTY$/,
    ),
    expect.stringContaining("DOCKER_NDN_MAX_CWND"),
  ]);
  expect(status).toBe(2);
});

test("help lists the options with their defaults and ends with status 0", async () => {
  const { status, stdout } = await run(["start", "--help"]);
  expect(stdout).toContain("--listen");
  expect(stdout).toContain("[default: 127.0.0.1:5000]");
  expect(status).toBe(0);
});
