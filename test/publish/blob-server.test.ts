import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { metadataName, objectName, plainName, repositoryName } from "#blob/names.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { generic, joinName, segment } from "#ndn/packet/name.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { prefix, type Reader, type Serving, serve } from "./serving.ts";

const repository = "team/app";
let registry: TestRegistry;
let serving: Serving;
let reader: Reader;

beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

beforeEach(async () => {
  registry.requests.length = 0;
  registry.bytesSent = 0;
  registry.fault = undefined;
  serving = await serve(registry);
  reader = serving.reader();
  return () => serving[Symbol.asyncDispose]();
});

function add(sizeBytes: number, seed = 1): { blob: { repository: string; digest: Digest }; bytes: Buffer } {
  const bytes = patternBlob(sizeBytes, seed);
  return { bytes, blob: { repository, digest: registry.addBlob(repository, bytes) } };
}

/** Fetch segments by name, without metadata. */
async function fetchObject(from: Reader, digest: Digest, bytes: Buffer, hint?: string): Promise<Buffer> {
  const lastSegment = Math.max(0, Math.ceil(bytes.length / 8192) - 1);
  const what = {
    object: objectName(prefix, digest, 8192),
    ...(hint && { hint: repositoryName(prefix, hint) }),
    firstSegment: 0,
    lastSegment,
    segmentBytes: 8192,
    lastSegmentBytes: bytes.length - lastSegment * 8192,
  };
  const all: Buffer[] = [];
  for await (const chunk of from.consumer.fetch(what, AbortSignal.timeout(10_000))) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

describe("a blob", () => {
  test.each([0, 1, 8192, 262_144, 262_145, 4_194_304, 9_000_001])("of %d bytes arrives", async (size) => {
    const { blob, bytes } = add(size);
    expect((await reader.read(blob)).equals(bytes)).toBe(true);
  });

  test("of 1200-byte segments that straddle pages arrives", async () => {
    await using small = await serve(registry, { segmentBytes: 1200 });
    const { blob, bytes } = add(3_000_001, 2);
    expect((await small.reader().read(blob)).equals(bytes)).toBe(true);
  });

  test("is read in ranges, once, however many ask for it at the same time", async () => {
    const { blob, bytes } = add(20_000_000, 3);
    const all = await Promise.all(Array.from({ length: 8 }, () => serving.reader().read(blob)));
    expect(all.every((read) => read.equals(bytes))).toBe(true);
    expect(registry.bytesSent).toBeLessThanOrEqual(1.1 * bytes.length);
    const gets = registry.blobGets(blob.digest);
    expect(gets.length).toBeLessThan(10);
    expect(gets.every(({ headers }) => /^bytes=\d+-\d+$/.test(headers.range ?? ""))).toBe(true);
  });

  test("in several repositories is one object, whichever it is asked in", async () => {
    const { blob, bytes } = add(1_000_000, 4);
    registry.addBlob("other", bytes);
    await reader.read(blob);
    const sent = registry.bytesSent;
    expect((await fetchObject(serving.reader(), blob.digest, bytes, "other")).equals(bytes)).toBe(true);
    expect(registry.bytesSent).toBe(sent);
  });
});

describe("a registry that fails", () => {
  test.each([
    { kind: "status", status: 500 },
    { kind: "status", status: 429 },
    { kind: "reset-after", bytes: 100_000 },
    { kind: "short-206" },
    { kind: "wrong-206" },
  ] as const)("once with $kind is asked again, and nothing of it is remembered", async (fault) => {
    const { blob, bytes } = add(2_000_000, 5);
    registry.fault = { ...fault, times: 1 };
    expect((await reader.read(blob)).equals(bytes)).toBe(true);
    expect(serving.log.some(({ msg }) => msg === "reading the registry failed")).toBe(true);
  });

  test("in the middle of a blob is asked again", async () => {
    const { blob, bytes } = add(9_000_000, 6);
    const reading = reader.read(blob);
    await until("the first range", () => registry.blobGets(blob.digest).length > 0);
    registry.fault = { kind: "status", status: 503, times: 1 };
    expect((await reading).equals(bytes)).toBe(true);
  });

  test("to understand ranges is read all the same", async () => {
    const { blob, bytes } = add(6_000_000, 7);
    registry.fault = { kind: "ignore-range" };
    expect((await reader.read(blob)).equals(bytes)).toBe(true);
  });
});

describe("an unknown blob", () => {
  const unknown = digestOfHash(Buffer.alloc(32, 7));

  test("has signed metadata that says so", async () => {
    const data = await reader.get(metadataName(prefix, repository, unknown));
    expect([data.contentType, data.freshnessPeriod]).toEqual([contentTypes.Nack, 1_000]);
    expect(data.sigInfo.time).toBeDefined();
    await expect(reader.read({ repository, digest: unknown })).rejects.toThrow(BlobUnavailable);
  });

  test("is served as soon as it is pushed", async () => {
    const bytes = patternBlob(10_000, 8);
    const digest = digestOfHash(createHash("sha256").update(bytes).digest());
    registry.repositories.get(repository)?.blobs.delete(digest); // pushed by an earlier try
    await expect(reader.read({ repository, digest })).rejects.toThrow(BlobUnavailable);
    registry.addBlob(repository, bytes);
    await until("the negative answer to be forgotten", async () =>
      (await reader.read({ repository, digest })).equals(bytes),
    );
  });

  test("in a flood of others does not flood the registry", async () => {
    for (let i = 0; i < 3_000; i++) {
      const hash = Buffer.alloc(32);
      hash.writeUInt32BE(i);
      reader.ask(metadataName(prefix, repository, digestOfHash(hash)), { canBePrefix: true, mustBeFresh: true });
    }
    await until("all Interests to be seen", () => serving.server.producer.counters.interests >= 3_000);
    const { blob, bytes } = add(1_000, 9);
    await until("the server to answer again", async () => (await reader.read(blob)).equals(bytes), 15_000);
    expect(registry.requests.length).toBeLessThan(1_000);
  });
});

describe("without metadata", () => {
  test("a server places a blob by the repository in the hint", async () => {
    const { blob, bytes } = add(500_000, 10);
    expect((await fetchObject(reader, blob.digest, bytes, repository)).equals(bytes)).toBe(true);
  });

  test("a segment without a hint that nobody has placed is silence, and no request", async () => {
    const { blob } = add(1_000, 11);
    reader.ask(joinName(objectName(prefix, blob.digest, 8192), segment(0)));
    await until("the Interest to be seen", () => serving.server.producer.counters.interests === 1);
    expect(registry.requests).toEqual([]);
    expect(serving.server.producer.counters.segmentsSent).toBe(0);
  });

  test("the plain form brings the bytes, and teaches where the blob is", async () => {
    const { blob, bytes } = add(20_000, 12);
    const plain = plainName(prefix, repository, blob.digest);
    const data = await reader.get(joinName(plain, segment(2)));
    expect(Buffer.from(data.content).equals(bytes.subarray(2 * 8192))).toBe(true);
    expect(data.freshnessPeriod).toBe(60_000);
    expect((await fetchObject(serving.reader(), blob.digest, bytes)).equals(bytes)).toBe(true);
  });

  test("numbers beyond the last segment are ignored without a read", async () => {
    const { blob, bytes } = add(20_000, 13);
    expect((await reader.read(blob)).equals(bytes)).toBe(true);
    const before = registry.requests.length;
    const { counters } = serving.server.producer;
    const sent = counters.segmentsSent;
    for (const n of [3, 255, 256, 65_536, 0xffffffff]) {
      reader.ask(joinName(objectName(prefix, blob.digest, 8192), segment(n)));
      reader.ask(joinName(plainName(prefix, repository, blob.digest), segment(n)));
    }
    const interests = counters.interests;
    await until("the Interests to be seen", () => counters.interests >= interests + 10);
    expect([registry.requests.length, counters.segmentsSent]).toEqual([before, sent]);
  });

  test("names that are nothing are silence without a read", async () => {
    const { blob } = add(1_000, 14);
    const plain = plainName(prefix, repository, blob.digest);
    for (const name of [plain, joinName(plain, generic("x")), prefix, joinName(prefix, generic(".."))])
      reader.ask(name);
    await until("the Interests to be seen", () => serving.server.producer.counters.interests === 4);
    expect(registry.requests).toEqual([]);
    expect(serving.server.producer.counters.segmentsSent).toBe(0);
  });
});
