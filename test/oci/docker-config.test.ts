import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dockerConfigLogin, dockerConfigPath, readDockerLogin } from "#oci/docker-config.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

let folder: TemporaryFolder;
let serial = 0;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const helper = join(folder.path, "docker-credential-test");
  // Knows one server, by its very spelling.
  const answer = `{"Username":"of-helper","Secret":"pw"}`;
  const known = "https://index.docker.io/v1/|helped.example|https://old.example/v2/";
  await writeFile(
    helper,
    `#!/bin/sh\ncase "$(cat)" in\n${known}) echo '${answer}';;\n*) echo credentials not found; exit 1;;\nesac\n`,
  );
  await chmod(helper, 0o755);
});
afterAll(() => folder[Symbol.asyncDispose]());

const base64 = (text: string) => Buffer.from(text).toString("base64");
const ann = { auth: base64("ann:p:w") };
const login = { username: "ann", password: "p:w" };
const env = () => ({ PATH: `${folder.path}:${process.env.PATH}` });

async function read(registry: string, config: unknown) {
  const path = join(folder.path, `config-${serial++}.json`);
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
  return readDockerLogin(registry, path, env());
}

test.each([
  ["docker.io", "https://index.docker.io/v1/"],
  ["docker.io", "index.docker.io"],
  ["docker.io", "docker.io"],
  ["registry.example", "registry.example"],
  ["registry.example", "https://registry.example"],
  ["registry.example", "https://registry.example/v1/"],
  ["registry.example", "registry.example:443"],
  ["localhost:5001", "http://localhost:5001/v2/"],
])("the login for %s is found under %s", async (registry, key) => {
  expect(await read(registry, { auths: { "other.example": { auth: base64("bob:x") }, [key]: ann } })).toEqual(login);
});

test("the very spelling goes before others", async () => {
  const auths = { "https://registry.example/v1/": { auth: base64("bob:x") }, "registry.example": ann };
  expect(await read("registry.example", { auths })).toEqual(login);
});

test("another host, port or subdomain is another registry", async () => {
  const auths = { "registry.example:5000": ann, "a.registry.example": ann, "registry.example.evil.example": ann };
  expect(await read("registry.example", { auths })).toBeUndefined();
});

test("an identity token goes before the name that stands beside it", async () => {
  const auths = { "registry.example": { auth: base64("<token>:"), identitytoken: "id" } };
  expect(await read("registry.example", { auths })).toEqual({ identityToken: "id" });
});

test("helpers: the registry's own, else that of all, else the file itself", async () => {
  const ofHelper = { username: "of-helper", password: "pw" };
  expect(await read("docker.io", { credsStore: "test" })).toEqual(ofHelper);
  expect(await read("helped.example", { credHelpers: { "helped.example": "test" }, credsStore: "absent" })).toEqual(
    ofHelper,
  );
  expect(await read("old.example", { credsStore: "test", auths: { "https://old.example/v2/": {} } })).toEqual(ofHelper);
  expect(await read("registry.example", { credsStore: "test", auths: { "registry.example": ann } })).toEqual(login);
  expect(await read("none.example", { credsStore: "test" })).toBeUndefined();
});

test.each([
  ['{"auths": {"registry.example": {"auth": "hunter2"}', "is not JSON"],
  [{ auths: { "registry.example": { auth: base64("hunter2") } } }, "not base64 of name:password"],
  [{ auths: { "registry.example": { auth: 5, password: "hunter2" } } }, "auths.registry.example.auth"],
])("a file that is of no use says so, without what is in it", async (config, expected) => {
  const failure = (await read("registry.example", config).catch((err: unknown) => err)) as Error;
  expect(failure.message).toContain(expected);
  expect(JSON.stringify([failure.message, failure.stack, failure.cause])).not.toContain("hunter2");
});

test("no file is no login", async () => {
  expect(await readDockerLogin("docker.io", join(folder.path, "absent.json"), env())).toBeUndefined();
});

test("the file is where docker has it, and a new one is seen at once", async () => {
  expect(dockerConfigPath({ HOME: "/home/ann" })).toBe("/home/ann/.docker/config.json");
  await using docker = await makeTemporaryFolder();
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const source = dockerConfigLogin("registry.example", { ...env(), DOCKER_CONFIG: docker.path }, { warn });
  expect(await source()).toBeUndefined();
  await writeFile(join(docker.path, "config.json"), JSON.stringify({ auths: { "registry.example": ann } }));
  expect(await source()).toEqual(login);
  await writeFile(join(docker.path, "config.json"), "{");
  expect(await source()).toBeUndefined();
  expect(warnings).toEqual([expect.stringContaining("is not JSON")]);
});
