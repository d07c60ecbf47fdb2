import { Registry } from "prom-client";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { digestListName, objectName, repositoryName } from "#blob/names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { generic, joinName } from "#ndn/packet/name.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { contentOf, fetchList, fetchLists, origins, repository, segmentDigests, verifierOf } from "./lists.ts";
import { prefix, type Reader, type Serving, serve } from "./serving.ts";

let registry: TestRegistry;
let identity: TestIdentity;
let metrics: Registry;
let serving: Serving;
let reader: Reader;

beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
});
afterAll(() => registry.close());
beforeEach(async () => {
  registry.requests.length = 0;
  registry.fault = undefined;
  metrics = new Registry();
  serving = await serve(registry, { identity, metrics });
  reader = serving.reader();
  return () => serving[Symbol.asyncDispose]();
});

function add(sizeBytes: number, seed = 1): Digest {
  return registry.addBlob(repository, patternBlob(sizeBytes, seed));
}

describe.each([8192, 1200] as const)("the lists of a blob in segments of %d bytes", (size) => {
  test.each([0, 1, 16, 17, 256, 257])("have the implicit digest of each of %d segments", async (segments) => {
    const sizeBytes = Math.max(0, segments * size - 5);
    const digest = add(sizeBytes, size);
    const lists = await fetchLists(reader, digest, sizeBytes, size);
    expect(contentOf(lists).equals(await segmentDigests(reader, digest, sizeBytes, size))).toBe(true);
    expect(lists.map(({ content }) => content.length / 32).slice(0, 2)).toEqual(
      segments <= 16 ? [Math.max(1, segments)] : [16, Math.min(240, segments - 16)],
    );
  });
});

test("a list is signed by the server's key, and fresh for an hour", async () => {
  const list = await fetchList(reader, add(500_000), 1);
  expect([list.contentType, list.freshnessPeriod]).toEqual([contentTypes.Manifest, 3_600_000]);
  expect(list.sigInfo.time).toBeDefined();
  expect(Buffer.from(list.sigInfo.keyLocator!.name!.value).equals(identity.parsed.name)).toBe(true);
  await (await verifierOf(identity)).verify(list);
  const stranger = await verifierOf(await makeIdentity(prefix));
  await expect(async () => stranger.verify(list)).rejects.toThrow();
});

test("a list beyond the last one is silence", async () => {
  const digest = add(16 * 8192);
  const name = digestListName(objectName(prefix, digest, 8192), 1);
  const question = { isExact: true, forwardingHint: repositoryName(prefix, repository) };
  await expect(reader.get(name, question, { timeoutMs: 300 })).rejects.toThrow();
  expect((await fetchList(reader, digest, 0)).content).toHaveLength(16 * 32);
});

test("a list that many ask for at the same time is computed once, and the blob read once", async () => {
  const digest = add(4_000_000);
  const readers = Array.from({ length: 8 }, () => serving.reader());
  const lists = await Promise.all(readers.map((each) => fetchList(each, digest, 1)));
  expect(new Set(lists.map(({ content }) => Buffer.from(content).toString("hex"))).size).toBe(1);
  expect((await origins(metrics)).computed).toBe(1);
  await fetchList(reader, digest, 1);
  expect(await origins(metrics)).toEqual({ computed: 1, memory: 1 });
  expect(registry.blobGets(digest).length).toBeLessThanOrEqual(2); // the beginning, and the rest
});

test("segments are answered while lists are computed", async () => {
  const bytes = patternBlob(9_000_000, 3);
  const digest = registry.addBlob(repository, bytes);
  const [read, lists] = await Promise.all([
    reader.read({ repository, digest }),
    fetchLists(serving.reader(), digest, bytes.length),
  ]);
  expect(read.equals(bytes)).toBe(true);
  expect(contentOf(lists).length / 32).toBe(Math.ceil(bytes.length / 8192));
});

test("a registry that fails meanwhile costs a list that time, and nothing wrong is remembered", async () => {
  const bytes = patternBlob(3_000_000, 4);
  const digest = registry.addBlob(repository, bytes);
  registry.fault = { kind: "reset-after", bytes: 1_000_000, times: 1 };
  const name = digestListName(objectName(prefix, digest, 8192), 1);
  const question = { isExact: true, forwardingHint: repositoryName(prefix, repository) };
  const list = await reader.get(name, question);
  expect(
    Buffer.from(list.content).equals(
      (await segmentDigests(reader, digest, bytes.length, 8192)).subarray(16 * 32, 256 * 32),
    ),
  ).toBe(true);
});

test("a flood of lists of unknown blobs does not flood the registry", async () => {
  const hint = { forwardingHint: repositoryName(prefix, repository) };
  for (let i = 0; i < 3_000; i++) {
    const hash = Buffer.alloc(32, 9);
    hash.writeUInt32BE(i);
    reader.ask(digestListName(objectName(prefix, digestOfHash(hash), 8192), i % 3), hint);
  }
  await until("all Interests to be seen", () => serving.server.producer.counters.interests >= 3_000);
  const digest = add(1_000, 5);
  const list = await until("the server to answer again", () => fetchList(reader, digest, 0), 15_000);
  expect(list.content).toHaveLength(32);
  expect(registry.requests.length).toBeLessThan(1_000);
});

test("a blob that is not published has no lists", async () => {
  await using closed = await serve(registry, { exclude: ["team/**"] });
  const digest = add(1_000, 6);
  const requests = registry.requests.length;
  const asker = closed.reader();
  asker.ask(digestListName(objectName(prefix, digest, 8192), 0), {
    forwardingHint: repositoryName(prefix, repository),
  });
  await until("the Interest to be seen", () => closed.server.producer.counters.interests === 1);
  expect(registry.requests).toHaveLength(requests);
});

test("under a prefix that is too long for lists their names are silent, and the log says why", async () => {
  const long = joinName(prefix, generic("x".repeat(430)));
  await using narrow = await serve(registry, { prefix: long, identity: await makeIdentity(long) });
  const asker = narrow.reader();
  const digest = add(3_000_000, 7);
  const ask = (i: number) =>
    asker.ask(digestListName(objectName(long, digest, 8192), i), { forwardingHint: repositoryName(long, repository) });
  ask(1);
  const warnings = () => narrow.log.filter(({ msg }) => /digest lists do not fit/.test(msg));
  await until("the warning", () => warnings().length > 0);
  ask(1);
  await until("the Interests to be seen", () => narrow.server.producer.counters.interests === 2);
  expect(warnings()).toHaveLength(1);
});
