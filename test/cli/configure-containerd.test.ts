import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Machine, makeMachine } from "./configure.ts";

const path = "/etc/containerd/certs.d/docker.io/hosts.toml";
const ours = "http://127.0.0.1:5000";

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

interface Hosts {
  readonly server?: string;
  readonly host: Readonly<Record<string, unknown>>;
}

async function hosts(registry: string): Promise<Hosts> {
  return parse((await machine.read(`/etc/containerd/certs.d/${registry}/hosts.toml`))!) as unknown as Hosts;
}

test("Docker Hub gets a mirror unless registries are named, and undone its folder is gone", async () => {
  const { stdout } = await machine.configure("containerd");
  expect(await hosts("docker.io")).toEqual({
    server: "https://registry-1.docker.io",
    host: { [ours]: { capabilities: ["pull", "resolve"] } },
  });
  expect(stdout).toMatch(/To restart: nothing/);
  await machine.configure("containerd", { undo: true });
  expect(await readdir(join(machine.root, "etc/containerd/certs.d"))).toEqual([]);
});

test("every named registry gets a folder of its own, and all are undone at once", async () => {
  await machine.configure("containerd", { for: ["Registry.example:5000", "_default", "127.0.0.1:5001"] });
  expect((await hosts("registry.example:5000")).server).toBe("https://registry.example:5000");
  expect((await hosts("127.0.0.1:5001")).server).toBe("http://127.0.0.1:5001");
  expect((await hosts("_default")).server).toBeUndefined();
  await machine.configure("containerd", { for: ["_default"], undo: true });
  expect(await machine.read("/etc/containerd/certs.d/_default/hosts.toml")).toBeUndefined();
  await machine.configure("containerd", { undo: true });
  expect(await readdir(join(machine.root, "etc/containerd/certs.d"))).toEqual([]);
});

test("with --only the endpoint is the server too, from whatever was written before and back, and undone it is gone", async () => {
  for (const flags of [{ only: true }, {}, { only: true }]) {
    await machine.configure("containerd", flags);
    expect((await hosts("docker.io")).server).toBe(flags.only ? ours : "https://registry-1.docker.io");
    expect(Object.keys((await hosts("docker.io")).host)).toEqual([ours]);
  }
  const other = "http://127.0.0.1:5050";
  await machine.configure("containerd", { only: true, endpoint: other });
  expect(await hosts("docker.io")).toMatchObject({ server: other, host: { [other]: {} } });
  await machine.configure("containerd", { undo: true });
  expect(await machine.read(path)).toBeUndefined();
});

test("--only leaves a file with settings of its own alone, and is not for other programs", async () => {
  const before = 'server = "https://mirror.example"\n';
  await machine.write(path, before);
  await expect(machine.configure("containerd", { only: true })).rejects.toThrow(/settings of its own/);
  expect(await machine.read(path)).toBe(before);
  await expect(machine.configure("docker", { only: true })).rejects.toThrow(/--only/);
});

describe("a hosts.toml keeps all but our lines, is asked after us, and undone becomes what it was", () => {
  test.each([
    ["a server alone", 'server = "https://registry-1.docker.io"\n'],
    ["a server without a line end", 'server = "https://registry-1.docker.io"'],
    [
      "another mirror",
      'server = "https://a"\n\n# the other one\n[host."https://b.example"]\n  capabilities = ["pull"]\n',
    ],
    ["a mirror with settings", '[host."https://b"]\nskip_verify = true\n[host."https://b".header]\nx = ["y"]\n'],
    ["remarks alone", "# nothing yet\n"],
  ])("%s", async (_what, before) => {
    await machine.write(path, before);
    const was = parse(before) as unknown as Partial<Hosts>;
    await machine.configure("containerd");
    const after = await machine.read(path);
    const is = await hosts("docker.io");
    expect(is.server).toBe(was.server);
    expect(Object.entries(is.host)).toEqual([
      [ours, { capabilities: ["pull", "resolve"] }],
      ...Object.entries(was.host ?? {}),
    ]);
    await machine.configure("containerd");
    expect(await machine.read(path)).toBe(after);
    await machine.configure("containerd", { undo: true });
    expect(await machine.read(path)).toBe(before);
  });
});

test("another endpoint takes the place of the first, and what was changed since stays", async () => {
  await machine.write(path, '[host."https://b"]\n');
  await machine.configure("containerd");
  await machine.configure("containerd", { endpoint: "https://cache.example" });
  expect(Object.keys((await hosts("docker.io")).host)).toEqual(["https://cache.example", "https://b"]);
  await machine.write(path, `${await machine.read(path)}skip_verify = true\n`);
  await machine.configure("containerd", { undo: true });
  expect(await machine.read(path)).toBe('[host."https://b"]\nskip_verify = true\n');
});

test("a file of ours with another endpoint is not taken for somebody's", async () => {
  await machine.configure("containerd");
  await machine.configure("containerd", { endpoint: "http://127.0.0.1:5001" });
  expect(await machine.read(`${path}.before-ndn-registry`)).toBeUndefined();
  await machine.configure("containerd", { undo: true });
  expect(await readdir(join(machine.root, "etc/containerd/certs.d"))).toEqual([]);
});

test("what others added to a file of ours stays, and there is no backup", async () => {
  await machine.configure("containerd");
  await machine.write(path, `${await machine.read(path)}\n[host."https://b"]\n`);
  await machine.configure("containerd", { undo: true });
  expect(await machine.read(path)).toBe('server = "https://registry-1.docker.io"\n\n[host."https://b"]\n');
  expect(await machine.read(`${path}.before-ndn-registry`)).toBeUndefined();
});

test("lines that were added under ours are not given to another table", async () => {
  await machine.configure("containerd");
  for (const line of [
    "  skip_verify = true\n",
    `[host."${ours}".header]\n  x = ["y"]\n`,
    '# why\n\n  ca = "/a.pem"\n',
  ]) {
    const changed = `${await machine.read(path)}${line}`;
    await machine.write(path, changed);
    await expect(machine.configure("containerd", { undo: true })).rejects.toThrow(/changed since/);
    expect(await machine.read(path)).toBe(changed);
    await machine.write(path, changed.slice(0, -line.length));
  }
});

test.each([
  ["not TOML", "server = \n"],
  ["hosts in one line", 'host = { "https://b" = {} }\n'],
  ["a table in a text", 'server = """\n[host]\n"""\n'],
])("nothing is changed when it is %s", async (_what, before) => {
  await machine.write(path, before);
  await expect(machine.configure("containerd", { for: ["_default", "docker.io"] })).rejects.toMatchObject({
    name: "CommandError",
  });
  expect(await machine.read(path)).toBe(before);
  expect(await readdir(join(machine.root, "etc/containerd/certs.d"))).toEqual(["docker.io"]);
});

test.each(["a/b", "..", ".", "", "a b", "-a"])("--for %j is refused", async (registry) => {
  await expect(machine.configure("containerd", { for: [registry] })).rejects.toMatchObject({ name: "OptionError" });
});

describe("config.toml is read for Kubernetes, and", () => {
  const both = /1\.x.*grpc\.v1\.cri"\.registry\].*2\.x.*cri\.v1\.images"\.registry\]/s;
  test.each([
    ["missing, both forms are shown", undefined, both],
    ["without config_path too", 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/a"\n', both],
    ["not TOML too", "version =", both],
    [
      "with mirrors of the old form they are named",
      '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = []\n',
      /without registry\.mirrors/,
    ],
  ])("%s", async (_what, config, message) => {
    if (config !== undefined) await machine.write("/etc/containerd/config.toml", config);
    expect((await machine.configure("containerd")).stdout).toMatch(message);
    if (config !== undefined) expect(await machine.read("/etc/containerd/config.toml")).toBe(config);
  });

  test.each(["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"])(
    "with it for %s nothing is said",
    async (id) => {
      const paths = "/etc/containerd/certs.d:/etc/docker/certs.d";
      await machine.write("/etc/containerd/config.toml", `[plugins."${id}".registry]\nconfig_path = "${paths}"\n`);
      expect((await machine.configure("containerd")).stdout).not.toContain("config_path");
    },
  );
});
