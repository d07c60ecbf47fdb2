import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Credentials, cachedCredentials, dockerHubLogin, passwordFile } from "#oci/credentials.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

function listen() {
  const warnings: string[] = [];
  return { warnings, warn: (message: string) => void warnings.push(message) };
}

test("Docker Hub's login is in the environment, its password perhaps in a file", async () => {
  const { warn } = listen();
  expect(dockerHubLogin({}, { warn })).toBeUndefined();
  const file = join(folder.path, "hub");
  await writeFile(file, "from file\n");
  const login = { DOCKERHUB_USERNAME: "ann" };
  expect(await dockerHubLogin({ ...login, DOCKERHUB_PASSWORD: "pw" }, { warn })!()).toEqual({
    username: "ann",
    password: "pw",
  });
  expect(await dockerHubLogin({ ...login, DOCKERHUB_PASSWORD_FILE: file }, { warn })!()).toEqual({
    username: "ann",
    password: "from file",
  });
});

test.each([{ DOCKERHUB_USERNAME: "ann" }, { DOCKERHUB_PASSWORD: "hunter2" }, { DOCKERHUB_PASSWORD_FILE: "hunter2" }])(
  "half a login is a mistake",
  (env) => {
    expect(() => dockerHubLogin(env, listen())).toThrow(/^DOCKERHUB_USERNAME and DOCKERHUB_PASSWORD (?!.*hunter2)/);
  },
);

test("a password file is read again when it changes", async () => {
  const { warnings, warn } = listen();
  const file = join(folder.path, "password");
  await writeFile(file, "one\r\n");
  const source = passwordFile("ann", file, { warn });
  expect(await source()).toEqual({ username: "ann", password: "one" });
  await writeFile(file, "second");
  expect(await source()).toEqual({ username: "ann", password: "second" });
  await rm(file);
  expect(await source()).toBeUndefined();
  expect(warnings).toEqual([expect.stringContaining("ENOENT")]);
});

test("a login is cached for 5 minutes, none after a failure for 30 s, and read once for all who ask", async () => {
  const { warnings, warn } = listen();
  let [reads, time, works] = [0, 0, true];
  const read = async (): Promise<Credentials> => {
    reads++;
    if (!works) throw new Error("the safe is locked");
    return { username: "ann", password: `pw${reads}` };
  };
  const source = cachedCredentials(read, [], { warn, now: () => time });
  await Promise.all([source(), source()]);
  time = 299_999;
  expect(await source()).toEqual({ username: "ann", password: "pw1" });
  [time, works] = [300_000, false];
  expect([await source(), await source()]).toEqual([undefined, undefined]);
  expect(warnings).toEqual(["the safe is locked"]);
  [time, works] = [330_000, true];
  expect(await source()).toEqual({ username: "ann", password: "pw3" });
});
