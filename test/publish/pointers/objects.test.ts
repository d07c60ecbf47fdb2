import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Interest, Name } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { metadataName, objectName, repositoryName } from "#blob/names.ts";
import type { Pointer } from "#blob/pointer.ts";
import { pointerName } from "#blob/pointer-names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import { type Digest, digestOfHash, hexOf } from "#oci/reference.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { contentOf, fetchList, fetchLists, segmentDigests } from "../lists.ts";
import { prefix, serve } from "../serving.ts";
import { askPointer, readPointed, repository } from "./asking.ts";

const mediaType = "application/vnd.oci.image.manifest.v1+json";
const bytes = Buffer.from(`{"schemaVersion":2}${" ".repeat(250_000)}`);
let registry: TestRegistry;
let digest: Digest;

beforeEach(async () => {
  registry = await startRegistry();
  digest = registry.addManifest(repository, "latest", { mediaType, bytes });
});
afterEach(() => registry.close());

function objectOf(segmentBytes: 8192 | 1200 = 8192): Pointer {
  return { digest, sizeBytes: bytes.length, segmentBytes, mediaType, maxAgeMs: 0, asOfMs: 0 };
}

const now = performance.now.bind(performance);

/** A clock that is ahead by so many milliseconds. */
function later(ms: number): () => number {
  return () => now() + ms;
}

function manifestGets(): number {
  return registry.requests.filter(({ method, url }) => method === "GET" && url.includes("/manifests/")).length;
}

test.each([8192, 1200] as const)(
  "a manifest is read in segments of %i without any pointer, by the hint alone",
  async (size) => {
    await using serving = await serve(registry);
    expect((await readPointed(serving.reader(), objectOf(size))).equals(bytes)).toBe(true);
    expect(manifestGets()).toBe(1);
  },
);

test("a manifest that was read five minutes ago is not read again, only asked for, and is gone when it is", async () => {
  await using serving = await serve(registry);
  const pointed = { kind: "manifest", repository, digest } as const;
  const first = (await askPointer(serving.reader(), pointed))!;
  using time = vi.spyOn(performance, "now").mockImplementation(later(6 * 60_000));
  const second = (await askPointer(serving.reader(), pointed, { isUnique: true }))!;
  expect(second.asOfMs).toBeGreaterThan(first.asOfMs);
  expect(manifestGets()).toBe(1);
  registry.open(repository).manifests.delete(digest);
  time.mockImplementation(later(12 * 60_000));
  expect(await askPointer(serving.reader(), pointed, { isUnique: true })).toBeUndefined();
});

test("another server that has not been asked for it serves the rest, and so does one that has been restarted", async () => {
  await using folder = await makeTemporaryFolder();
  const name = (n: number) => joinName(objectName(prefix, digest, 8192), segment(n));
  const hint = { isExact: true, forwardingHint: repositoryName(prefix, repository) };
  for (let n = 0; n < 3; n++) {
    await using serving = await serve(registry, { stateDirectory: folder.path });
    // The first run learns where it is; the others know that without a hint.
    const data = await serving.reader().get(name(n), n === 0 ? hint : { isExact: true });
    expect(Buffer.from(data.content).equals(bytes.subarray(n * 8192, (n + 1) * 8192))).toBe(true);
  }
});

test("with the registry's storage at hand a manifest is found without a hint, and only where its repository has it", async () => {
  await using folder = await makeTemporaryFolder();
  const other = registry.addManifest(repository, "other", {
    mediaType,
    bytes: Buffer.from('{"schemaVersion":2,"a":1}'),
  });
  const link = join(folder.path, "docker/registry/v2/repositories", repository, "_manifests/revisions/sha256");
  await mkdir(join(link, hexOf(digest)), { recursive: true });
  await writeFile(join(link, hexOf(digest), "link"), digest);
  await using serving = await serve(registry, { storage: folder.path });
  const reader = serving.reader();
  const first = (of: Digest) => joinName(objectName(prefix, of, 8192), segment(0));
  const data = await reader.get(first(digest), { isExact: true });
  expect(Buffer.from(data.content).equals(bytes.subarray(0, 8192))).toBe(true);
  await expect(reader.get(first(other), { isExact: true }, { timeoutMs: 300 })).rejects.toThrow();
});

test("digest lists of manifests are those of their segments", async () => {
  await using serving = await serve(registry);
  const reader = serving.reader();
  const lists = await fetchLists(reader, digest, bytes.length);
  expect(lists).toHaveLength(2);
  expect(contentOf(lists).equals(await segmentDigests(reader, digest, bytes.length, 8192))).toBe(true);
});

test("a manifest is no blob: metadata of a blob with its digest says that there is none", async () => {
  await using serving = await serve(registry);
  const reader = serving.reader();
  await askPointer(reader, { kind: "tag", repository, tag: "latest" });
  const data = await reader.get(metadataName(prefix, repository, digest));
  expect(data.contentType).toBe(contentTypes.Nack);
});

test("a manifest of another repository is not there under this one's hint", async () => {
  registry.open("team/other");
  await using serving = await serve(registry);
  const reader = serving.reader();
  const name = joinName(objectName(prefix, digest, 8192), segment(0));
  const forwardingHint = repositoryName(prefix, "team/other");
  const limits = { timeoutMs: 400 };
  await expect(reader.get(name, { isExact: true, forwardingHint }, limits)).rejects.toThrow();
});

test("digests that are neither blob nor manifest cost the registry no more than unknown blobs may", async () => {
  await using serving = await serve(registry);
  const reader = serving.reader();
  const { counters } = serving.server.producer;
  const forwardingHint = repositoryName(prefix, repository);
  for (let i = 0; i < 2_000; i++) {
    const unknown = digestOfHash(Buffer.alloc(32, `${i}`));
    reader.ask(joinName(objectName(prefix, unknown, 8192), segment(0)), { forwardingHint });
    if (i % 100 === 99) await until("Interests to be seen", () => counters.interests >= i + 1);
  }
  await until("the registry to be asked", () => registry.requests.length > 50);
  expect(registry.requests.length).toBeLessThan(1_200);
});

test("a snapshot has digest lists, and is served under its maker's name although no repository has it", async () => {
  for (let i = 0; i < 400; i++) registry.open(repository).tags.set(`v${i}`.padEnd(100, "x"), digest);
  await using serving = await serve(registry);
  const reader = serving.reader();
  const pointer = (await askPointer(reader, { kind: "tags", repository }))!;
  expect(pointer.inline).toBeUndefined();
  const snapshot = await readPointed(reader, pointer);
  expect(JSON.parse(snapshot.toString()).tags).toHaveLength(401);
  const list = await fetchList(reader, pointer.digest, 0);
  const expected = await segmentDigests(reader, pointer.digest, pointer.sizeBytes, 8192);
  expect(Buffer.from(list.content).equals(expected)).toBe(true);
});

test("a server's id is kept in its state, and is another one without", async () => {
  await using folder = await makeTemporaryFolder();
  const hints: string[] = [];
  for (const stateDirectory of [folder.path, folder.path, undefined]) {
    await using serving = await serve(registry, { stateDirectory });
    const pointer = (await askPointer(serving.reader(), { kind: "tags", repository }))!;
    hints.push(pointer.hint!.toString("hex"));
  }
  expect(hints[1]).toBe(hints[0]);
  expect(hints[2]).not.toBe(hints[0]);
});

test("unique questions for pointers have a budget of their own", async () => {
  const metrics = new Registry();
  await using serving = await serve(registry, { metrics });
  const reader = serving.reader();
  const ask = async (name: Buffer, i: number) => {
    const interest = new Interest(new Name(name), Interest.CanBePrefix);
    interest.appParameters = Buffer.of(i >> 8, i & 255);
    await interest.updateParamsDigest();
    reader.uplink.face!.send(Encoder.encode(interest));
  };
  const blob = registry.addBlob(repository, Buffer.from("x"));
  for (let i = 0; i < 100; i++) await ask(metadataName(prefix, repository, blob), i);
  const tag = { kind: "tag", repository, tag: "latest" } as const;
  expect(await askPointer(reader, tag, { isUnique: true })).toMatchObject({ digest });
  for (let i = 0; i < 1_000; i++) await ask(pointerName(prefix, tag), i);
  const { counters } = serving.server.producer;
  await until("the Interests to be seen", () => counters.interests >= 1_101);
  expect(await askPointer(reader, tag)).toMatchObject({ digest }); // the others go on being answered
  const { values } = await metrics.getSingleMetric("ndn_registry_server_pointers_total")!.get();
  const answered = values.find(({ labels }) => labels.kind === "tag" && labels.outcome === "answered")!.value;
  expect(answered).toBeGreaterThanOrEqual(400);
  expect(answered).toBeLessThan(900);
});
