import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { objectName } from "#blob/names.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import { digestOfHash } from "#oci/reference.ts";
import { RepositoryIndex } from "#publish/blob-locator.ts";
import { patternBlob, startRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { prefix, serve } from "./serving.ts";

const digest = digestOfHash(Buffer.alloc(32, 1));
const another = digestOfHash(Buffer.alloc(32, 2));
const noError = (err: Error) => {
  throw err;
};

test("the latest four repositories of a digest are known, most recent first, also after a restart", async () => {
  await using folder = await makeTemporaryFolder();
  const index = new RepositoryIndex(join(folder.path, "state"), noError);
  for (const repository of ["a", "b", "c", "d", "e", "b"]) index.learn(digest, repository);
  expect(index.repositoriesOf(digest)).toEqual(["b", "e", "d", "c"]);
  await index.close();
  expect(new RepositoryIndex(join(folder.path, "state"), noError).repositoriesOf(digest)).toEqual(["b", "e", "d", "c"]);
});

test("what is learned while the rest is being written is written too", async () => {
  await using folder = await makeTemporaryFolder();
  const index = new RepositoryIndex(folder.path, noError);
  index.learn(digest, "a");
  const closing = index.close();
  await setImmediate();
  index.learn(another, "b");
  await closing;
  await index.close(); // if the first save was through before
  const kept = new RepositoryIndex(folder.path, noError);
  expect([kept.repositoriesOf(digest), kept.repositoriesOf(another)]).toEqual([["a"], ["b"]]);
});

test("without a directory nothing is kept", async () => {
  const index = new RepositoryIndex(undefined, noError);
  index.learn(digest, "a");
  await index.close();
  expect(index.repositoriesOf(digest)).toEqual(["a"]);
});

test.each(["{", "", "null", "[]", "7", '"text"', '{"sha256:x": ["a"]}'])(
  "state of %j is no error of the server",
  async (text) => {
    await using folder = await makeTemporaryFolder();
    await writeFile(join(folder.path, "places.json"), text);
    const errors: Error[] = [];
    const index = new RepositoryIndex(folder.path, (err) => errors.push(err));
    expect(errors).toHaveLength(text === "{" || text === "" ? 1 : 0);
    index.learn(digest, "a");
    await index.close();
    expect(JSON.parse(await readFile(join(folder.path, "places.json"), "utf8"))).toEqual({ [digest]: ["a"] });
  },
);

test("what is no repository or no list is left out", async () => {
  await using folder = await makeTemporaryFolder();
  await writeFile(join(folder.path, "places.json"), JSON.stringify({ [digest]: ["../x", 7, "good", "Bad"] }));
  expect(new RepositoryIndex(folder.path, noError).repositoriesOf(digest)).toEqual(["good"]);
});

test("what a server that was killed left half written is removed, and nothing else", async () => {
  await using folder = await makeTemporaryFolder();
  const dead = 2 ** 22 + 1; // above what Linux gives to processes
  const others = ["places.json.tmp", `places.json.${dead}.tmp.old`, `my.places.json.${dead}.tmp`];
  others.push(`places.json.${process.pid}.tmp`); // of a live one, which may be writing it
  for (const name of [`places.json.${dead}.tmp`, ...others]) await writeFile(join(folder.path, name), "");
  await new RepositoryIndex(folder.path, noError).close();
  expect((await readdir(folder.path)).toSorted()).toEqual(others.toSorted());
});

test("a directory that cannot be written is a warning", async () => {
  await using folder = await makeTemporaryFolder();
  await writeFile(join(folder.path, "file"), "");
  const errors: Error[] = [];
  const index = new RepositoryIndex(join(folder.path, "file", "state"), (err) => errors.push(err));
  index.learn(digest, "a");
  await index.close();
  expect(errors.length).toBeGreaterThan(0);
  expect(index.repositoriesOf(digest)).toEqual(["a"]);
});

test("a server knows after a restart where a digest was, without a hint", async () => {
  await using folder = await makeTemporaryFolder();
  const registry = await startRegistry();
  const bytes = patternBlob(10_000);
  const blob = { repository: "team/app", digest: registry.addBlob("team/app", bytes) };
  {
    await using serving = await serve(registry, { stateDirectory: folder.path });
    await serving.reader().read(blob);
  }
  {
    await using serving = await serve(registry, { stateDirectory: folder.path });
    const name = joinName(objectName(prefix, blob.digest, 8192), segment(1));
    const data = await serving.reader().get(name);
    expect(Buffer.from(data.content).equals(bytes.subarray(8192))).toBe(true);
  }
  await registry.close();
});

test("a server with corrupt state starts, and says so", async () => {
  await using folder = await makeTemporaryFolder();
  const registry = await startRegistry();
  await writeFile(join(folder.path, "places.json"), "{ half");
  {
    await using serving = await serve(registry, { stateDirectory: folder.path });
    expect(serving.log.map(({ level, msg }) => [level, msg])).toContainEqual([40, "state cannot be kept"]);
  }
  await registry.close();
});
