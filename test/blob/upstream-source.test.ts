import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BlobCorrupt, BlobUnavailable, fromStart, type ResumePoint } from "#blob/source.ts";
import { UpstreamAnswer, upstreamSource } from "#blob/upstream-source.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { blobOf, collect, repository } from "./faulty-sources.ts";

const blob = blobOf("upstream", 400_000);
const never = new AbortController().signal;
let registry: TestRegistry;
let client: RegistryClient;

beforeEach(async () => {
  registry = await startRegistry();
  registry.addBlob(repository, blob.bytes);
  client = new RegistryClient({ base: registry.url });
});

afterEach(async () => {
  vi.useRealTimers();
  await client.close();
  await registry.close();
});

function at(offset: number, prefix = blob.bytes.subarray(0, offset)): ResumePoint {
  return { offset, prefixSha256: () => createHash("sha256").update(prefix).digest() };
}

async function readFrom(from: ResumePoint, stallTimeoutMs = 5_000): Promise<Buffer> {
  const source = upstreamSource({ registry: client, auth: { kind: "puller", value: undefined }, stallTimeoutMs });
  const read = await source.open(blob.ref, from, never);
  expect(read.sizeBytes).toBe(blob.bytes.length);
  return Buffer.concat(await collect(read.chunks));
}

test("a fresh start is a plain GET", async () => {
  expect((await readFrom(fromStart)).equals(blob.bytes)).toBe(true);
  expect(registry.requests.map(({ range }) => range)).toEqual([undefined]);
});

test("a resumption is a range whose 206 names exactly what is missing", async () => {
  expect((await readFrom(at(123_456))).equals(blob.bytes.subarray(123_456))).toBe(true);
  expect(registry.requests.map(({ range }) => range)).toEqual(["bytes=123456-"]);
});

test("a 200 to a range is used from the byte on when its beginning is what was sent", async () => {
  registry.fault = { kind: "ignore-range" };
  expect((await readFrom(at(123_456))).equals(blob.bytes.subarray(123_456))).toBe(true);
});

test("a 200 whose beginning is something else is never used", async () => {
  registry.fault = { kind: "ignore-range-wrong" };
  await expect(readFrom(at(123_456))).rejects.toThrow(BlobCorrupt);
});

test("a 206 for another range is never used", async () => {
  registry.fault = { kind: "wrong-206" };
  await expect(readFrom(at(123_456))).rejects.toThrow(BlobUnavailable);
});

test("a short 206 is resumed where it ended", async () => {
  registry.fault = { kind: "short-206", times: 1 };
  expect((await readFrom(at(100_000))).equals(blob.bytes.subarray(100_000))).toBe(true);
  expect(registry.requests.map(({ range }) => range)).toEqual(["bytes=100000-", "bytes=250000-"]);
});

test("a connection that is reset is resumed at the byte", async () => {
  registry.fault = { kind: "reset-after", bytes: 150_000, times: 1 };
  expect((await readFrom(fromStart)).equals(blob.bytes)).toBe(true);
  expect(registry.requests).toHaveLength(2);
});

test("a body that stalls is broken off and resumed", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  registry.fault = { kind: "stall-after", bytes: 150_000, times: 1 };
  const source = upstreamSource({ registry: client, auth: { kind: "puller", value: undefined }, stallTimeoutMs: 100 });
  const read = await source.open(blob.ref, fromStart, never);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const bytes of read.chunks) {
    chunks.push(bytes);
    sizeBytes += bytes.length;
    if (sizeBytes === 150_000) setImmediate(() => vi.advanceTimersByTime(100)); // the source waits for more by then
  }
  expect(Buffer.concat(chunks).equals(blob.bytes)).toBe(true);
  expect(registry.requests[1]?.range).toBe("bytes=150000-");
});

test("three tries without progress are enough", async () => {
  registry.fault = { kind: "reset-after", bytes: 0 };
  await expect(readFrom(at(5), 1_000)).rejects.toThrow(BlobUnavailable);
  expect(registry.requests).toHaveLength(3);
});

test("a refusal to begin reaches the caller as it is", async () => {
  const missing = blobOf("missing", 10);
  const source = upstreamSource({ registry: client, auth: { kind: "puller", value: undefined } });
  const err: unknown = await source.open(missing.ref, fromStart, never).catch((reason: unknown) => reason);
  expect(err).toBeInstanceOf(UpstreamAnswer);
  expect((err as UpstreamAnswer).status).toBe(404);
  expect((err as UpstreamAnswer).body.toString()).toContain("BLOB_UNKNOWN");
});

test("a refusal to go on is only a source that failed", async () => {
  registry.fault = { kind: "status", status: 404 };
  await expect(readFrom(at(5))).rejects.toThrow(BlobUnavailable);
});

test("a registry that is gone is a source that failed", async () => {
  await registry.close();
  await expect(readFrom(fromStart)).rejects.toThrow(BlobUnavailable);
});

test("a reader that leaves ends the read", async () => {
  registry.fault = { kind: "stall-after", bytes: 150_000 };
  const reader = new AbortController();
  const source = upstreamSource({ registry: client, auth: { kind: "puller", value: undefined } });
  const read = await source.open(blob.ref, fromStart, reader.signal);
  const reading = (async () => {
    let sizeBytes = 0;
    for await (const bytes of read.chunks) {
      sizeBytes += bytes.length;
      if (sizeBytes === 150_000) reader.abort(new Error("reader left"));
    }
  })();
  await expect(reading).rejects.toThrow("reader left");
});

test("an upstream that is silent twice in a row is not waited for again, whichever reader asks this source", async () => {
  registry.fault = { kind: "stall-after", bytes: 0 };
  const source = upstreamSource({ registry: client, auth: { kind: "puller", value: undefined }, stallTimeoutMs: 50 });
  const read = await source.open(blob.ref, fromStart, AbortSignal.timeout(5_000));
  await expect(collect(read.chunks)).rejects.toThrow("silent 2 times");
  const asked = registry.requests.length;
  expect(asked).toBe(2);
  await expect(source.open(blob.ref, fromStart, AbortSignal.timeout(5_000))).rejects.toThrow("silent 2 times");
  expect(registry.requests.length).toBe(asked);
});

test("an upstream that says a little between silences is given up as well", async () => {
  registry.fault = { kind: "stall-after", bytes: 10_000 };
  await expect(readFrom(fromStart, 50)).rejects.toThrow("silent 2 times");
});
