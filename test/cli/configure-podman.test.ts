import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Machine, makeMachine } from "./configure.ts";

const folder = "/etc/containers/registries.conf.d";
const path = `${folder}/ndn-registry.conf`;

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

async function registries(): Promise<unknown> {
  return parse((await machine.read(path))!).registry;
}

function mirrored(registry: string, location: string, insecure = true) {
  return { prefix: registry, location: registry, mirror: [{ location, ...(insecure ? { insecure } : {}) }] };
}

test("Docker Hub gets a mirror without a path, of which is said what it needs, and undone the file is gone", async () => {
  const { stdout } = await machine.configure("podman");
  expect(await registries()).toEqual([mirrored("docker.io", "127.0.0.1:5000")]);
  expect(stdout).toMatch(/own upstream has to be Docker Hub.*To restart: nothing/s);
  await machine.configure("podman", { undo: true });
  expect(await machine.read(path)).toBeUndefined();
});

test("other registries are a path of the mirror; those of several runs add up and go one by one", async () => {
  await machine.configure("podman", { for: ["quay.io"] });
  await machine.configure("podman", { for: ["docker.io", "registry.example:5000"], endpoint: "https://cache.example" });
  expect(await registries()).toEqual([
    mirrored("docker.io", "cache.example", false),
    mirrored("quay.io", "127.0.0.1:5000/quay.io"),
    mirrored("registry.example:5000", "cache.example/registry.example_5000", false),
  ]);
  await machine.configure("podman", { for: ["quay.io", "docker.io"], undo: true });
  expect(await registries()).toEqual([mirrored("registry.example:5000", "cache.example/registry.example_5000", false)]);
  await machine.configure("podman", { for: ["quay.io"], undo: true });
  await machine.configure("podman", { for: ["registry.example:5000"], undo: true });
  expect(await readdir(join(machine.root, folder))).toEqual([]);
});

test("a second run changes nothing", async () => {
  await machine.configure("podman", { for: ["quay.io", "docker.io"] });
  const before = await machine.read(path);
  expect((await machine.configure("podman", { for: ["docker.io"] })).stdout).toMatch(/has it already/);
  expect(await machine.read(path)).toBe(before);
});

test("a file that was changed by hand is left alone", async () => {
  await machine.configure("podman");
  const changed = `${await machine.read(path)}\n[[registry.mirror]]\nlocation = "a.example"\n`;
  for (const text of [changed, "", "not toml", "unqualified-search-registries = []\n"]) {
    await machine.write(path, text);
    await expect(machine.configure("podman")).rejects.toThrow(/not as this command has written it/);
    await expect(machine.configure("podman", { undo: true })).rejects.toThrow(/not as this command has written it/);
    expect(await machine.read(path)).toBe(text);
  }
});

test("other files for the same registry are named, with who wins", async () => {
  await machine.write(
    "/etc/containers/registries.conf",
    '[[registry]]\nprefix = "docker.io"\nlocation = "a.example"\n',
  );
  await machine.write(`${folder}/zz.conf`, '[[registry]]\nlocation = "docker.io"\n');
  await machine.write(`${folder}/000-shortnames.conf`, '[aliases]\n"alpine" = "docker.io/library/alpine"\n');
  const { stdout } = await machine.configure("podman");
  expect(stdout).toMatch(/registries\.conf has an entry for docker\.io as well; this one replaces it/);
  expect(stdout).toMatch(/zz\.conf has an entry for docker\.io as well, is read later and wins/);
  expect(stdout).not.toContain("shortnames");
});

test("a registry's port, which podman takes in no path, is written otherwise; a file that has it can be undone", async () => {
  await machine.configure("podman", { for: ["localhost:5001", "quay.io"] });
  const written = (await machine.read(path))!;
  expect(written).toContain('location = "127.0.0.1:5000/localhost_5001"');
  await machine.write(path, written.replace("localhost_5001", "localhost:5001"));
  await machine.configure("podman", { for: ["quay.io"] });
  expect(await machine.read(path)).toBe(written);
  await machine.write(path, written.replace("localhost_5001", "localhost:5001"));
  await machine.configure("podman", { undo: true });
  expect(await machine.read(path)).toBeUndefined();
});

test("IPv6 addresses, which podman takes in no image's name, are refused with a reason", async () => {
  await expect(machine.configure("podman", { for: ["[::1]:5001"] })).rejects.toThrow(
    /--for \[::1\]:5001: .*name the host/,
  );
  await expect(machine.configure("podman", { endpoint: "http://[::1]:5000" })).rejects.toThrow(/--endpoint .*IPv6/);
});

test("_default is refused", async () => {
  await expect(machine.configure("podman", { for: ["_default"] })).rejects.toThrow(/only containerd/);
});
