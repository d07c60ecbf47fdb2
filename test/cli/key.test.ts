import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { tlv } from "#ndn/packet/tlv.ts";
import { openIdentity } from "#ndn/trust/keychain.ts";
import { Authority } from "#test/ndn/trust/authority.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { runExecutable } from "./executable.ts";

const prefix = parseName("/example/registry");
let folder: TemporaryFolder;
let keychain: string;
let runs = 0;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
beforeEach(() => {
  keychain = join(folder.path, `keychain-${++runs}`);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** `ndn-registry key …` on the keychain of this test, to its end. */
const key = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runExecutable(["key", ...args, "--keychain", keychain], { cwd: folder.path, env });

test("show says name, digest, kind and validity", async () => {
  const { certificateName, digest } = await openIdentity(keychain, prefix);
  const { status, stdout, stderr } = await key(["show"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain(`name    ${certificateName}\ndigest  ${digest}\ntype    ECDSA P-256\n`);
  expect(stdout).toMatch(/valid {3}\d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d, 3649 days left\nissuer {2}itself\n/);
});

test("show without a key is one line and status 1, and makes none", async () => {
  const { status, stdout, stderr } = await key(["show"]);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr.trim().split("\n")).toEqual([expect.stringMatching(/no key and certificate yet/)]);
  await expect(readdir(keychain)).rejects.toThrow("ENOENT");
});

test("renew makes a new certificate, says what follows, and --new-key a new key", async () => {
  const first = await openIdentity(keychain, prefix);
  const renewed = await key(["renew"]);
  expect(renewed.stdout).toMatch(new RegExp(`pullers that trust ${first.digest} trust this one too`));
  expect(renewed.stdout).toMatch(/a running server takes it at kill -HUP, or when it is started again/);
  const second = await openIdentity(keychain, prefix);
  expect(renewed.stdout).toContain(second.digest);
  const again = await key(["renew", "--new-key"]);
  expect(again.stdout).toMatch(/the old key is kept in .*backup-/);
  const { stdout } = await key(["show"]);
  expect(stdout.match(/^also {4}.*$/gm)).toHaveLength(2);
});

test("renew --new-key replaces a key whose certificate was issued, and says how the new one is", async () => {
  const { certificate } = await openIdentity(keychain, prefix);
  const period = { fromMs: 0, toMs: Date.now() + 1e10 };
  const issuer = await Authority.make("/example", period);
  const [request, issued] = ["request.ndncert", "issued.ndncert"].map((name) => join(folder.path, name));
  await writeFile(issued!, (await issuer.certify(certificate, { ...period, locator: issuer.name })).wire);
  expect((await key(["import", issued!])).status).toBe(0);
  const { status, stderr } = await key(["renew"]);
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/issued by someone else.*--new-key/),
  });

  const renewed = await key(["renew", "--new-key"]);
  expect({ status: renewed.status, stderr: renewed.stderr }).toEqual({ status: 0, stderr: "" });
  expect(renewed.stdout).toMatch(/the old key is kept in .*backup-/);
  const steps = /key export request[\s\S]*signed by the issuer[\s\S]*key import issued/;
  expect(renewed.stdout).toMatch(steps);
  expect(renewed.stdout).not.toMatch(/pullers that trust|not valid any more/);
  expect((await key(["export", request!])).status).toBe(0);
  const asked = Buffer.from(await readFile(request!, "utf8"), "base64");
  await writeFile(issued!, (await issuer.certify(asked, { ...period, locator: issuer.name })).wire);
  expect((await key(["import", issued!])).status).toBe(0);
});

test("export writes what --anchor reads, to standard output or a file for everybody", async () => {
  const { certificate } = await openIdentity(keychain, prefix);
  const printed = await key(["export"]);
  expect(Buffer.from(printed.stdout, "base64").equals(certificate)).toBe(true);
  const path = join(folder.path, "anchor.ndncert");
  expect((await key(["export", path])).status).toBe(0);
  expect(await readFile(path, "utf8")).toBe(printed.stdout);
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  const { status, stderr } = await key(["export", "/nowhere/anchor"]);
  expect({ status, lines: stderr.trim().split("\n").length }).toEqual({ status: 1, lines: 1 });
});

describe("import", () => {
  const passphrase = "correct horse";
  let bag: string;
  let server: Authority;

  beforeAll(async () => {
    server = await Authority.make("/example/registry", { kind: "RSA 2048", toMs: Date.now() + 1e10, fromMs: 0 });
    const cipher = { cipher: "aes-256-cbc", passphrase };
    const encrypted = server.privateKey.export({ type: "pkcs8", format: "der", ...cipher });
    bag = join(folder.path, "registry.safebag");
    await writeFile(bag, tlv(0x80, server.wire, tlv(0x81, encrypted)).toString("base64"));
  });

  test("takes a SafeBag whose passphrase is in the environment or in a file", async () => {
    const env = { DOCKER_NDN_SAFEBAG_PASSWORD: passphrase };
    const { status, stdout, stderr } = await key(["import", bag], env);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(server.ours.digest);
    const passwordFile = join(folder.path, "passphrase");
    await writeFile(passwordFile, `${passphrase}\n`);
    expect((await key(["import", bag])).status).toBe(2);
    const taken = await key(["import", bag, "--password-file", passwordFile]);
    expect(taken.stderr).toMatch(/a key is there already; --replace/);
    expect((await key(["import", bag, "--password-file", passwordFile, "--replace"])).status).toBe(0);
    expect((await openIdentity(keychain, prefix)).digest).toBe(server.ours.digest);
  });

  test("says in one line what is wrong, without the passphrase", async () => {
    const env = { DOCKER_NDN_SAFEBAG_PASSWORD: "wrong horse" };
    const unreadable = join(folder.path, "note");
    await writeFile(unreadable, "hello");
    for (const file of [bag, unreadable, join(folder.path, "missing")]) {
      const { status, stderr } = await key(["import", file], env);
      expect(status).toBe(1);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(stderr).toContain(file);
      expect(stderr).not.toContain("horse");
    }
  });
});
