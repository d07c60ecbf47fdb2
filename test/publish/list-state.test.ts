import { open, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash, hexOf } from "#oci/reference.ts";
import { DigestListFiles } from "#publish/digest-list-files.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { contentOf, fetchLists, origins, repository, verifierOf } from "./lists.ts";
import { prefix, serve } from "./serving.ts";

const bytes = patternBlob(5_000_000);
const listCount = 4;
let registry: TestRegistry;
let folder: TemporaryFolder;
let identity: TestIdentity;

beforeEach(async () => {
  registry = await startRegistry();
  folder = await makeTemporaryFolder();
  identity = await makeIdentity(prefix);
});
afterEach(async () => {
  await registry.close();
  await folder[Symbol.asyncDispose]();
});

/** Run a server with this state, and fetch all lists of a blob. */
async function run(who = identity, blob = bytes) {
  const metrics = new Registry();
  const digest = registry.addBlob(repository, blob);
  const requests = registry.requests.length;
  await using serving = await serve(registry, { stateDirectory: folder.path, identity: who, metrics });
  const lists = await fetchLists(serving.reader(), digest, blob.length);
  const warnings = serving.log.filter(({ level }) => level === 40).length;
  return {
    content: contentOf(lists),
    lists,
    origins: await origins(metrics),
    reads: registry.requests.length - requests,
    warnings,
  };
}

async function stateFile(): Promise<string> {
  const [name] = (await readdir(folder.path, { recursive: true })).filter((path) => /\.8192$/.test(path));
  return join(folder.path, name!);
}

test("a restart computes nothing twice: all it asks the registry is whether the blob is there", async () => {
  const first = await run();
  expect(first.origins).toEqual({ computed: listCount });
  const second = await run();
  expect(second.origins).toEqual({ state: listCount });
  expect(second.reads).toBe(1);
  expect(second.content.equals(first.content)).toBe(true);
  expect(second.lists[0]!.sigInfo.time).toEqual(first.lists[0]!.sigInfo.time);
});

test.each([
  ["a page", 32 * 8192 - 8191, 1],
  ["less than a page", 31 * 8192, 0],
  ["one segment", 10, 0],
  ["nothing", 0, 0],
])("of a blob of %s the lists are on the disk only if that saves work", async (_, sizeBytes, files) => {
  const blob = patternBlob(sizeBytes);
  const first = await run(identity, blob);
  const second = await run(identity, blob);
  expect(second.content.equals(first.content)).toBe(true);
  expect(Object.keys(second.origins)).toEqual([files === 0 ? "computed" : "state"]);
  const names = await readdir(folder.path, { recursive: true });
  expect(names.filter((path) => /\.8192$/.test(path)).length).toBe(files);
});

test("lists of another key are computed again, and replaced", async () => {
  const first = await run();
  const other = await makeIdentity(prefix);
  const second = await run(other);
  expect(second.origins).toEqual({ computed: listCount });
  expect(second.content.equals(first.content)).toBe(true);
  await (await verifierOf(other)).verify(second.lists[1]!);
  expect((await run(other)).origins).toEqual({ state: listCount });
});

test("a damaged list is computed again and written anew; those beside it stay", async () => {
  const first = await run();
  const path = await stateFile();
  const file = await open(path, "r+");
  await file.write(Buffer.alloc(100, 0xee), 0, 100, 9_000);
  await file.close();
  const second = await run();
  expect(second.origins).toEqual({ computed: 1, state: listCount - 1 });
  expect(second.content.equals(first.content)).toBe(true);
  expect((await run()).origins).toEqual({ state: listCount });
});

test.each([
  ["is empty", Buffer.alloc(0)],
  ["is something else", Buffer.alloc(50_000, 0x06)],
])("a file that %s counts as absent", async (_, content) => {
  const first = await run();
  await writeFile(await stateFile(), content);
  const second = await run();
  expect(second.origins).toEqual({ computed: listCount });
  expect(second.content.equals(first.content)).toBe(true);
  expect((await run()).origins).toEqual({ state: listCount });
});

test("nobody else can read the files", async () => {
  await run();
  const path = await stateFile();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
});

test("a state that cannot be written costs one warning, and nothing else", async () => {
  await writeFile(join(folder.path, "digests"), "in the way");
  const { content, origins: from, warnings } = await run();
  expect(content.length / 32).toBe(Math.ceil(bytes.length / 8192));
  expect(from).toEqual({ computed: listCount });
  expect(warnings).toBe(1);
});

test("the blobs whose lists were not used for longest go when the bound is reached, also after a restart", async () => {
  const digests = [1, 2, 3, 4].map((n) => digestOfHash(Buffer.alloc(32, n)));
  const packet = tlv(TT.Data, Buffer.alloc(8_000));
  const key = (n: number) => ({ digest: digests[n]!, size: 8192, number: 0 }) as const;
  const errors: Error[] = [];
  const write = async (...order: number[]) => {
    const files = new DigestListFiles(folder.path, 17_000, (err) => errors.push(err));
    for (const n of order) files.write(key(n), packet);
    await files.close();
    const read = await Promise.all(digests.map((_, n) => files.read(key(n))));
    return read.flatMap((each, n) => (each?.equals(packet) ? [n] : []));
  };
  expect(await write(0, 1, 0, 2)).toEqual([0, 2]);
  await utimes(join(folder.path, "03", `${hexOf(digests[2]!)}.8192`), 1_000, 1_000);
  expect(await write(3)).toEqual([0, 3]);
  expect(errors).toEqual([]);
});
