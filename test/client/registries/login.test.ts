import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { registryLogin } from "#client/registries/login.ts";
import { plain, pullerAuth } from "#client/registries/router.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

const hub = { registry: "docker.io", upstream: new URL("https://registry-1.docker.io"), credentials: undefined };
const environment = { DOCKERHUB_USERNAME: "ann", DOCKERHUB_PASSWORD: "hunter2" };
const ofEnvironment = { username: "ann", password: "hunter2" };

function login(config: Parameters<typeof registryLogin>[0], env: Record<string, string>) {
  const warnings: string[] = [];
  const source = registryLogin(config, env, { warn: (message) => warnings.push(message) });
  return { source, warnings };
}

test("the environment's login is for Docker Hub, and for nothing else", async () => {
  expect(await login(hub, environment).source!()).toEqual(ofEnvironment);
  expect(
    login({ ...hub, registry: "ghcr.io", upstream: new URL("https://ghcr.io") }, environment).source,
  ).toBeUndefined();
  const { source, warnings } = login({ ...hub, upstream: new URL("https://mirror.example") }, environment);
  expect(source).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(/^DOCKERHUB_USERNAME is not used: mirror\.example (?!.*hunter2)/)]);
});

test("the configuration goes before the environment", async () => {
  const credentials = { kind: "password-variable", username: "bob", variable: "MINE" } as const;
  const { source } = login({ ...hub, credentials }, { ...environment, MINE: "other" });
  expect(await source!()).toEqual({ username: "bob", password: "other" });
});

test("docker's own login is that of the upstream's host", async () => {
  await using folder = await makeTemporaryFolder();
  const auths = { "mirror.example": { auth: Buffer.from("ann:pw").toString("base64") } };
  await writeFile(join(folder.path, "config.json"), JSON.stringify({ auths }));
  const config = { ...hub, credentials: { kind: "docker-config" } as const };
  const env = { DOCKER_CONFIG: folder.path };
  expect(await login(config, env).source!()).toBeUndefined();
  const mirrored = { ...config, upstream: new URL("https://mirror.example") };
  expect(await login(mirrored, env).source!()).toEqual({ username: "ann", password: "pw" });
});

test("in path form a puller's Authorization goes where it may, and does not keep the gateway from asking without it", () => {
  const path = { form: "path", prefix: "docker.io", ns: "" } as const;
  const [yes, no] = [{ forwardAuthorization: true }, { forwardAuthorization: false }];
  expect(pullerAuth("Bearer x", plain, no)).toEqual({ kind: "puller", value: "Bearer x" });
  expect(pullerAuth("Bearer x", path, no)).toEqual({ kind: "puller", value: undefined });
  expect(pullerAuth("Bearer x", path, yes)).toEqual({ kind: "puller", value: "Bearer x", orWithout: true });
});
