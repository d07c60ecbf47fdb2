import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRights, type Rights, type RightsOptions } from "#client/rights/rights.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

const repository = "team/app";
const { digest } = blobOf("image", 1_000).ref;
let folder: TemporaryFolder;
let file: string;
let warnings: string[];

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  file = join(folder.path, "rights");
  warnings = [];
});

afterEach(() => folder[Symbol.asyncDispose]());

const refuse = () => Promise.reject(new Error("no one asks"));

function open(options: Partial<RightsOptions> = {}): Rights {
  const warn = (_fields: object, message: string) => warnings.push(message);
  return createRights({
    registry: { headBlob: refuse, getBlob: refuse },
    registryHost: "registry.example",
    authorize: "upstream",
    file,
    log: { warn } as unknown as NonNullable<RightsOptions["log"]>,
    ...options,
  });
}

async function withGrant(...credentials: string[]): Promise<void> {
  const rights = open();
  for (const credential of credentials) rights.granted(credential, repository, digest, 1_000);
  await rights.close();
}

function may(rights: Rights, credential: string): boolean {
  return rights.mayOffline(credential, repository, digest);
}

test("after a restart a puller may what it might, and no longer counts as asked lately", async () => {
  await withGrant("Basic a");
  const rights = open();
  expect([may(rights, "Basic a"), may(rights, "Basic b"), rights.isKnown("Basic a")]).toEqual([true, false, true]);
  expect(rights.isFresh("Basic a", repository, digest)).toBe(false);
  expect(warnings).toEqual([]);
});

test("a right that was taken back stays so after a restart", async () => {
  await withGrant("Basic a", "Basic b");
  const first = open();
  first.refused("Basic a", repository, digest);
  await first.close();
  const second = open();
  expect([may(second, "Basic a"), may(second, "Basic b")]).toEqual([false, true]);
});

test("grants of another registry in the same file mean nothing", async () => {
  await withGrant("Basic a");
  expect(may(open({ registryHost: "other.example" }), "Basic a")).toBe(false);
});

test("file and key are for their owner only and name no credential, repository or digest", async () => {
  await withGrant("Basic cmVhZGVyOnNlY3JldA==");
  for (const path of [file, `${file}.key`]) {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, "utf8");
    for (const secret of ["cmVhZGVyOnNlY3JldA", "team/app", digest.slice(7)]) expect(text).not.toContain(secret);
  }
});

test("a last line that a crash cut off is left out, and the next one does not suffer", async () => {
  await withGrant("Basic a", "Basic b");
  truncateSync(file, statSync(file).size - 3);
  const second = open();
  expect([may(second, "Basic a"), may(second, "Basic b"), warnings]).toEqual([true, false, []]);
  second.granted("Basic c", repository, digest);
  await second.close();
  const third = open();
  expect([may(third, "Basic a"), may(third, "Basic c"), warnings]).toEqual([true, true, []]);
});

test("a damaged file is a warning and nothing remembered, and is written anew", async () => {
  await withGrant("Basic a");
  appendFileSync(file, "\0\0\0\0\n");
  const rights = open();
  expect([may(rights, "Basic a"), warnings]).toEqual([false, ["remembered rights are lost: their file is damaged"]]);
  rights.granted("Basic b", repository, digest);
  await rights.close();
  expect([may(open(), "Basic b"), warnings.length]).toEqual([true, 1]);
});

test("without its key the file is of no use: a warning and a new key", async () => {
  await withGrant("Basic a");
  writeFileSync(`${file}.key`, "short");
  const rights = open();
  expect(may(rights, "Basic a")).toBe(false);
  expect(warnings).toEqual(["remembered rights are lost: their key is missing or damaged"]);
  rights.granted("Basic b", repository, digest);
  await rights.close();
  expect(may(open(), "Basic b")).toBe(true);
});

test("a file that cannot be used is a warning, and rights live in memory", async () => {
  mkdirSync(`${file}.key`);
  const rights = open();
  rights.granted("Basic a", repository, digest);
  expect([may(rights, "Basic a"), warnings]).toEqual([true, ["rights cannot be remembered across restarts"]]);
  await rights.close();
});

test("a file that was removed is written again, with everything", async () => {
  await withGrant("Basic a");
  const rights = open();
  rmSync(file);
  rights.granted("Basic b", repository, digest);
  await rights.close();
  expect([may(open(), "Basic a"), may(open(), "Basic b"), warnings]).toEqual([true, true, []]);
});

test("a file that cannot be written is a warning, and rights are remembered until the end", async () => {
  const rights = open();
  mkdirSync(`${file}.tmp`);
  rights.granted("Basic a", repository, digest);
  await rights.close();
  expect([may(rights, "Basic a"), warnings]).toEqual([true, ["remembered rights could not be written"]]);
});

test("what is given and taken back over and over does not make the file grow", async () => {
  for (let round = 0; round < 2; round++) {
    const rights = open();
    for (let turn = 0; turn < 600; turn++) {
      rights.granted("Basic a", repository, digest);
      rights.refused("Basic a", repository, digest);
    }
    rights.granted("Basic a", repository, digest);
    await rights.close();
  }
  expect(readFileSync(file, "utf8").split("\n").length).toBeLessThan(10);
  expect(may(open(), "Basic a")).toBe(true);
});

test("what was forgotten for want of room does not come back after a restart", async () => {
  const first = open({ maxRemembered: 1 });
  first.granted("Basic a", repository, digest);
  first.granted("Basic b", repository, digest);
  await first.close();
  expect([may(open(), "Basic a"), may(open(), "Basic b")]).toEqual([false, true]);
});

test("what a registry served to all is known after a restart in all its repositories, and no one's right when rights count", async () => {
  const rights = open({ authorize: "none" });
  expect(rights.hasServed(repository, digest)).toBe(false);
  rights.served(digest);
  await rights.close();
  const again = open({ authorize: "none" });
  expect([again.hasServed(repository, digest), again.hasServed("team/other", digest)]).toEqual([true, true]);
  const strict = open({ offline: "anyone" });
  expect([may(strict, "Basic a"), strict.mayOffline(undefined, repository, digest)]).toEqual([false, false]);
});

test("what was granted in a repository before it was noted what was served counts there", async () => {
  await withGrant("Basic a");
  const rights = open({ authorize: "none" });
  expect([rights.hasServed(repository, digest), rights.hasServed("team/other", digest)]).toEqual([true, false]);
});
