import { chmod, mkdir, readdir, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Machine, makeMachine } from "./configure.ts";

const path = "/etc/docker/daemon.json";
const backup = `${path}.before-ndn-registry`;
const ours = "http://127.0.0.1:5000";

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

async function modeOf(file: string): Promise<number> {
  return (await stat(join(machine.root, file))).mode & 0o777;
}

test("without a daemon.json one is made that everyone may read, and undone it is gone", async () => {
  const { stdout } = await machine.configure("docker");
  expect(await machine.read(path)).toBe(`{\n  "registry-mirrors": ["${ours}"]\n}\n`);
  expect(await modeOf(path)).toBe(0o644);
  expect(stdout).toMatch(/daemon\.json is written\n.*Docker Hub only.*To restart: systemctl restart docker/s);
  expect((await machine.configure("docker", { undo: true })).stdout).toMatch(/is removed\n.*restart docker/s);
  expect(await readdir(join(machine.root, "etc/docker"))).toEqual([]);
});

describe("a daemon.json keeps all but our entry, and undone becomes what it was", () => {
  test.each([
    ["an empty object", "{}"],
    ["nothing but space", " \n"],
    ["members on lines of their own", '{\n    "zeta": 1.0,\n    "alpha": {"b": [1, 2], "a": "}{"}\n}\n'],
    ["tabs and Windows line ends", '{\r\n\t"debug": true\r\n}\r\n'],
    ["one line", '{"debug":true,"log-level":"warn"}'],
    ["an empty list", '{"registry-mirrors": [ ], "debug": true}\n'],
    ["a list on one line", '{ "registry-mirrors": ["https://a.example"] }\n'],
    [
      "a list on several lines",
      '{\n  "registry-mirrors": [\n    "https://a.example",\n    "https://b.example"\n  ]\n}\n',
    ],
    [
      "escapes and brackets in strings",
      '{"labels": ["a=\\"],[\\\\"], "registry\\u002dmirrors": ["https://a.example/"]}',
    ],
    ["the key in another object", '{"x": {"registry-mirrors": ["https://a.example"]}}'],
  ])("%s", async (_what, before) => {
    await machine.write(path, before);
    await chmod(join(machine.root, path), 0o600);
    await machine.configure("docker");
    const after = (await machine.read(path))!;
    const [was, is] = [JSON.parse(before.trim() || "{}"), JSON.parse(after)] as Record<string, string[]>[];
    expect(is).toEqual({ ...was, "registry-mirrors": [ours, ...(was!["registry-mirrors"] ?? [])] });
    expect(Object.keys(is!).slice(0, Object.keys(was!).length)).toEqual(Object.keys(was!));
    expect(await modeOf(path)).toBe(0o600);
    expect(await machine.read(backup)).toBe(before);
    expect(await modeOf(backup)).toBe(0o600);

    expect((await machine.configure("docker")).stdout).toMatch(/has it already/);
    expect(await machine.read(path)).toBe(after);

    await machine.configure("docker", { undo: true });
    expect(await machine.read(path)).toBe(before);
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
  });
});

test("lines are added as the neighbours stand", async () => {
  await machine.write(path, '{\n\t"registry-mirrors": [\n\t\t"https://a.example"\n\t]\n}\n');
  await machine.configure("docker");
  expect(await machine.read(path)).toBe(
    `{\n\t"registry-mirrors": [\n\t\t"${ours}",\n\t\t"https://a.example"\n\t]\n}\n`,
  );
});

test("a mirror that is there with a slash at its end is not added again", async () => {
  const before = `{"registry-mirrors": ["${ours}/"]}`;
  await machine.write(path, before);
  await machine.configure("docker");
  expect(await machine.read(path)).toBe(before);
  expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
});

test("plain http to another machine is allowed by name as well, to this machine and over https it need not be", async () => {
  await machine.configure("docker", { endpoint: "http://cache.example:5000" });
  expect(JSON.parse((await machine.read(path))!)).toEqual({
    "registry-mirrors": ["http://cache.example:5000"],
    "insecure-registries": ["cache.example:5000"],
  });
  await machine.configure("docker", { endpoint: "http://cache.example:5000", undo: true });
  expect(await machine.read(path)).toBeUndefined();
  for (const endpoint of ["https://cache.example", "http://localhost:5000", "http://[::1]:5000"]) {
    const { stdout } = await machine.configure("docker", { endpoint, print: true });
    expect(stdout).not.toContain("insecure");
  }
});

test("what was changed since stays, only the entry goes, and the backup is kept", async () => {
  await machine.write(path, '{"debug": true}\n');
  await machine.configure("docker");
  await machine.write(path, `{"debug": false, "registry-mirrors": ["https://a.example", "${ours}"], "mtu": 1400}\n`);
  await machine.configure("docker", { undo: true });
  expect(await machine.read(path)).toBe('{"debug": false, "registry-mirrors": ["https://a.example"], "mtu": 1400}\n');
  expect(await machine.read(backup)).toBe('{"debug": true}\n');
});

test("a host that was in insecure-registries before stays there", async () => {
  const endpoint = "http://cache.example:5000";
  await machine.write(path, '{"insecure-registries": ["cache.example:5000"]}\n');
  await machine.configure("docker", { endpoint });
  await machine.write(path, (await machine.read(path))!.replace("{", '{"debug": true, '));
  await machine.configure("docker", { endpoint, undo: true });
  expect(await machine.read(path)).toBe('{"debug": true, "insecure-registries": ["cache.example:5000"]}\n');
});

describe("a second run with another endpoint replaces the first one, and --undo needs not be told which it was", () => {
  const first = "http://cache.example:5000";
  const second = "http://127.0.0.1:5002";
  const third = "http://other.example";

  test.each([
    ["no file", undefined],
    ["an empty object", "{}"],
    ["a file of one line", '{"debug": true}'],
    [
      "mirrors and insecure registries of its own",
      '{"registry-mirrors": ["https://a"], "insecure-registries": ["b:1"]}\n',
    ],
    ["a host that was insecure before", '{\n  "insecure-registries": ["cache.example:5000"]\n}\n'],
  ])("%s", async (_what, before) => {
    if (before !== undefined) await machine.write(path, before);
    const was = JSON.parse(before ?? "{}") as Record<string, string[]>;
    for (const endpoint of [first, second, third, second, first, undefined]) {
      await machine.configure("docker", endpoint === undefined ? {} : { endpoint });
      const is = JSON.parse((await machine.read(path))!) as Record<string, string[]>;
      const insecure = endpoint?.includes("example") ? [new URL(endpoint).host] : [];
      expect(is["registry-mirrors"]).toEqual([endpoint ?? ours, ...(was["registry-mirrors"] ?? [])]);
      const others = was["insecure-registries"] ?? [];
      expect(is["insecure-registries"] ?? []).toEqual([
        ...insecure.filter((host) => !others.includes(host)),
        ...others,
      ]);
      expect(await machine.read(backup)).toBe(before);
    }
    await machine.configure("docker", { endpoint: first });
    await machine.configure("docker", { undo: true });
    expect(await machine.read(path)).toBe(before);
    expect(await readdir(join(machine.root, "etc/docker"))).toEqual(before === undefined ? [] : ["daemon.json"]);
  });

  test("an endpoint that is named is the only one that is taken out", async () => {
    await machine.configure("docker", { endpoint: second });
    const { stdout } = await machine.configure("docker", { undo: true, endpoint: third });
    expect(stdout).toMatch(/nothing to undo for http:\/\/other\.example/);
    expect((await machine.configure("docker", { undo: true })).stdout).toMatch(/is removed/);
  });

  test("a mirror that someone has taken out by hand, or a note that was changed, is no obstacle", async () => {
    await machine.write(path, '{"debug": true}\n');
    await machine.configure("docker", { endpoint: second });
    await machine.write(path, '{"debug": false}\n');
    expect((await machine.configure("docker", { undo: true })).stdout).toMatch(/stays as it is/);
    expect(await machine.read(path)).toBe('{"debug": false}\n');
    expect((await machine.configure("docker", { undo: true })).stdout).toMatch(/nothing to undo/);
    await machine.configure("docker");
    await machine.write(`${path}.ndn-registry`, "not a URL");
    await machine.configure("docker", { undo: true });
    expect(await machine.read(path)).toBe('{"debug": false}\n');
  });
});

test("undone twice, or without an entry, nothing happens", async () => {
  await machine.configure("docker", { undo: true });
  await machine.write(path, '{"debug": true}');
  const { stdout } = await machine.configure("docker", { undo: true });
  expect(stdout).toMatch(/nothing to undo/);
  expect(stdout).not.toMatch(/restart/);
  expect(await machine.read(path)).toBe('{"debug": true}');
});

test("--print writes the file to stdout with its path, says the rest on stderr and touches nothing", async () => {
  await machine.write(path, '{"debug": true}');
  const { stdout, stderr } = await machine.configure("docker", { print: true });
  expect(stdout).toBe(`# ${machine.root}${path}\n{"debug": true, "registry-mirrors": ["${ours}"]}\n`);
  expect(stderr).toMatch(/Docker Hub only/);
  expect(await machine.read(path)).toBe('{"debug": true}');
  expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
});

describe("nothing is changed when", () => {
  test.each([
    ["it is not JSON", '{"debug": true,}', /not valid JSON/],
    ["it is not an object", "[]", /not a JSON object/],
    ["the mirrors are not a list", '{"registry-mirrors": "a"}', /"registry-mirrors" is not a list/],
  ])("%s", async (_what, before, message) => {
    await machine.write(path, before);
    await expect(machine.configure("docker")).rejects.toThrow(message);
    await expect(machine.configure("docker")).rejects.toMatchObject({
      name: "CommandError",
      message: expect.stringContaining(`${machine.root}${path}: `),
    });
    expect(await machine.read(path)).toBe(before);
    expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
  });

  test("it is a link to a file of another root", async () => {
    await using other = await makeMachine();
    await other.write(path, "{}");
    await mkdir(join(machine.root, "etc"));
    await symlink(join(other.root, "etc/docker"), join(machine.root, "etc/docker"));
    await expect(machine.configure("docker")).rejects.toThrow(/symbolic link to .*outside/);
    expect(await other.read(path)).toBe("{}");
  });

  test("another registry than Docker Hub is asked for", async () => {
    for (const [registry, advice] of [
      ["registry.example", "pull 127.0.0.1:5000/registry.example/… instead"],
      ["registry.example:5000", "pull 127.0.0.1:5000/registry.example_5000/… instead"], // Docker takes no colon there
      ["[::1]:5000", "pull from it directly instead"],
    ] as const) {
      await expect(machine.configure("docker", { for: [registry] })).rejects.toMatchObject({
        name: "OptionError",
        message: `--for ${registry}: Docker uses mirrors for Docker Hub only; ${advice}`,
      });
    }
  });
});

// Root may write everywhere, so it stops being root for a moment.
test.skipIf(process.getuid?.() !== 0)("without the right to write it says sudo", async () => {
  await machine.write(path, "{}\n");
  for (const folder of ["", "etc", "etc/docker"]) await chmod(join(machine.root, folder), 0o755);
  process.seteuid!(65_534);
  try {
    await expect(machine.configure("docker")).rejects.toMatchObject({
      name: "CommandError",
      message: expect.stringMatching(/^no permission for .*daemon\.json: run it again with sudo/),
    });
  } finally {
    process.seteuid!(0);
  }
  expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
});

test("a link within the root is followed, and stays a link", async () => {
  await machine.write("/srv/daemon.json", "{}");
  await mkdir(join(machine.root, "etc/docker"), { recursive: true });
  await symlink("../../srv/daemon.json", join(machine.root, path));
  await machine.configure("docker");
  expect(await machine.read("/srv/daemon.json")).toContain(ours);
  expect(await readdir(join(machine.root, "etc/docker"))).toEqual(["daemon.json"]);
  await machine.configure("docker", { undo: true });
  expect([await readdir(join(machine.root, "srv")), await machine.read("/srv/daemon.json")]).toEqual([
    ["daemon.json"],
    "{}",
  ]);
});

test.each(["ftp://a", "http://a/b", "http://me:secret@a", "a:5000"])("--endpoint %s is refused", async (endpoint) => {
  await expect(machine.configure("docker", { endpoint })).rejects.toMatchObject({
    name: "OptionError",
    message: expect.not.stringContaining("secret"),
  });
});
