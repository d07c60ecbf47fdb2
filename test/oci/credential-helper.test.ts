import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askHelper } from "#oci/credential-helper.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const env = () => ({ PATH: `${folder.path}:${process.env.PATH}` });

/** Install `docker-credential-<name>` with this shell text. */
async function install(name: string, script: string): Promise<void> {
  const path = join(folder.path, `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

test("a helper is told the server, and tells the login", async () => {
  await install(
    "good",
    `echo "$1 $(cat)" > ${folder.path}/asked; echo '{"ServerURL":"x","Username":"ann","Secret":"pw"}'`,
  );
  expect(await askHelper("good", "registry.example", { env: env() })).toEqual({ username: "ann", password: "pw" });
  expect(await readFile(join(folder.path, "asked"), "utf8")).toBe("get registry.example\n");
});

test("<token> is not a name: the secret is an identity token", async () => {
  await install("token", `echo '{"Username":"<token>","Secret":"id"}'`);
  expect(await askHelper("token", "x", { env: env() })).toEqual({ identityToken: "id" });
});

test("a helper that has nothing is no failure", async () => {
  await install("none", "echo 'credentials not found in native keychain'; exit 1");
  expect(await askHelper("none", "x", { env: env() })).toBeUndefined();
});

test.each([
  ["broken", "echo hunter2; echo hunter2 >&2; exit 3", "failed (3)"],
  ["chatty", "echo 'hunter2 {'", "not JSON"],
  ["strange", `echo '{"Secret":["hunter2"]}'`, "no Username and Secret"],
  ["endless", "yes hunter2", "more than 65536 bytes"],
])("a %s helper fails without a word of its output", async (name, script, expected) => {
  await install(name, script);
  const failure = (await askHelper(name, "x", { env: env() }).catch((err: unknown) => err)) as Error;
  expect(failure.message).toContain(`docker-credential-${name}`);
  expect(failure.message).toContain(expected);
  expect(JSON.stringify([failure.message, failure.stack, failure.cause])).not.toContain("hunter2");
});

test("a helper that hangs is given up, also when a child of it holds its output open", async () => {
  await install("slow", "sleep 3");
  await expect(askHelper("slow", "x", { env: env(), timeoutMs: 100 })).rejects.toThrow("did not answer in 100 ms");
});

test("a helper that is not there is named", async () => {
  await expect(askHelper("absent", "x", { env: env() })).rejects.toThrow("docker-credential-absent is not installed");
});

test.each(["../evil", "a b", "A", "", "-x"])("%j is no name of a helper", async (name) => {
  await expect(askHelper(name, "x", { env: env() })).rejects.toThrow("only a-z, 0-9 and -");
});
