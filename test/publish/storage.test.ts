import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { objectName } from "#blob/names.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import { type Digest, digestOfHash, hexOf } from "#oci/reference.ts";
import { checkStorage, StorageRangeReader } from "#publish/storage-range-reader.ts";
import { readBody } from "#test/support/read-body.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { prefix, serve } from "./serving.ts";

const bytes = patternBlob(5_000_000);
let registry: TestRegistry;
let folder: TemporaryFolder;

beforeEach(async () => {
  registry = await startRegistry({ auth: { users: { a: "b" }, privateRepositories: ["team/private"] } });
  folder = await makeTemporaryFolder();
});
afterEach(async () => {
  await registry.close();
  await folder[Symbol.asyncDispose]();
});

/** Put a blob into the storage directory, linked by these repositories, and into the registry that has it. */
async function store(content: Buffer, ...repositories: string[]): Promise<Digest> {
  const root = join(folder.path, "docker/registry/v2");
  let digest = registry.addBlob("unlinked", content);
  const data = join(root, "blobs/sha256", hexOf(digest).slice(0, 2), hexOf(digest));
  await mkdir(data, { recursive: true });
  await writeFile(join(data, "data"), content);
  for (const repository of repositories) {
    digest = registry.addBlob(repository, content);
    const link = join(root, "repositories", repository, "_layers/sha256", hexOf(digest));
    await mkdir(link, { recursive: true });
    await writeFile(join(link, "link"), digest);
  }
  return digest;
}

test("a linked blob of a public repository comes from the disk, and the registry only says that it is public", async () => {
  const digest = await store(bytes, "team/open");
  await using serving = await serve(registry, { storage: folder.path });
  expect((await serving.reader().read({ repository: "team/open", digest })).equals(bytes)).toBe(true);
  expect(registry.bytesSent).toBe(0);
  expect(registry.requests.filter(({ status }) => status === 200).map(({ method }) => method)).toEqual(["HEAD"]);
});

test("an empty blob comes from the disk", async () => {
  const digest = await store(Buffer.alloc(0), "team/open");
  await using serving = await serve(registry, { storage: folder.path });
  expect(await serving.reader().read({ repository: "team/open", digest })).toHaveLength(0);
});

test("a blob that the repository does not link to is not read, although it is there", async () => {
  const digest = await store(bytes, "other");
  registry.addBlob("team/open", bytes);
  const reader = new StorageRangeReader(folder.path);
  expect(await reader.read({ repository: "team/open", digest }, 0, 10)).toBeUndefined();
  expect(await reader.read({ repository: "../../other", digest }, 0, 10)).toBeUndefined();
  const range = await reader.read({ repository: "other", digest }, 10, 20);
  expect((await readBody(range!.body)).equals(bytes.subarray(10, 20))).toBe(true);
  await using serving = await serve(registry, { storage: folder.path });
  await expect(serving.reader().read({ repository: "team/open", digest })).rejects.toThrow(BlobUnavailable);
});

test("a storage that is not mounted, or fails, is an error and no absent blob", async () => {
  const digest = await store(bytes, "team/open");
  const reader = new StorageRangeReader(folder.path);
  const read = (repository: string) => reader.read({ repository, digest }, 0, 10);
  const root = join(folder.path, "docker/registry/v2");
  await symlink("loop", join(root, "repositories/loop"));
  await writeFile(join(root, "repositories/file"), "");
  await expect(read("loop")).rejects.toThrow(/ELOOP/);
  expect([await read("file"), await read("nobody")]).toEqual([undefined, undefined]);
  await rename(join(root, "repositories"), join(root, "elsewhere"));
  await expect(read("team/open")).rejects.toThrow(/ENOENT/);
  await expect(reader.repositoriesWith(digest)).rejects.toThrow(/ENOENT/);
  await rename(join(root, "elsewhere"), join(root, "repositories"));
  expect(await reader.repositoriesWith(digest)).toEqual(["team/open"]);
});

test("a link whose blob was collected is an absent blob", async () => {
  const digest = await store(bytes, "team/open");
  await rm(join(folder.path, "docker/registry/v2/blobs"), { recursive: true });
  const reader = new StorageRangeReader(folder.path);
  expect(await reader.read({ repository: "team/open", digest }, 0, 10)).toBeUndefined();
});

test("a storage is checked before it is used, and what is wrong is said", async () => {
  expect(await checkStorage(folder.path)).toBe(false);
  await store(bytes, "team/open");
  expect(await checkStorage(folder.path)).toBe(true);
  await expect(checkStorage(join(folder.path, "elsewhere"))).rejects.toThrow(/is no directory: name the rootdirectory/);
  await symlink("loop", join(folder.path, "loop"));
  await expect(checkStorage(join(folder.path, "loop"))).rejects.toThrow(/ELOOP.*let this program's user read it/);
});

test("a private repository is not read from the disk, unless it is listed", async () => {
  const digest = await store(bytes, "team/private");
  {
    await using serving = await serve(registry, { storage: folder.path });
    await expect(serving.reader().read({ repository: "team/private", digest })).rejects.toThrow(BlobUnavailable);
  }
  await using listed = await serve(registry, { storage: folder.path, publish: ["team/*"] });
  expect((await listed.reader().read({ repository: "team/private", digest })).equals(bytes)).toBe(true);
});

test("a blob that nobody has placed is found on the disk, in a public repository only", async () => {
  const digest = await store(bytes, "team/private", "team/z");
  await using serving = await serve(registry, { storage: folder.path });
  const reader = serving.reader();
  const data = await reader.get(joinName(objectName(prefix, digest, 8192), segment(1)));
  expect(Buffer.from(data.content).equals(bytes.subarray(8192, 2 * 8192))).toBe(true);
});

test("a flood of unknown digests looks through the disk only so often", async () => {
  await store(bytes, "team/open");
  await using serving = await serve(registry, { storage: folder.path });
  const search = vi.spyOn(StorageRangeReader.prototype, "repositoriesWith");
  const reader = serving.reader();
  try {
    for (let batch = 0; batch < 20; batch++) {
      for (let i = 0; i < 100; i++) {
        const hash = Buffer.alloc(32);
        hash.writeUInt32BE(batch * 100 + i);
        reader.ask(joinName(objectName(prefix, digestOfHash(hash), 8192), segment(0)));
      }
      await until("a batch to be seen", () => serving.server.producer.counters.interests >= (batch + 1) * 100);
    }
    expect(search.mock.calls.length).toBeLessThan(1_000);
  } finally {
    search.mockRestore();
  }
});
