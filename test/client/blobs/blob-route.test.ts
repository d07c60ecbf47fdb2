import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import {
  blobOf,
  breaksAfter,
  holds,
  repository,
  stalls,
  type TestBlob,
  unavailable,
  waitsFor,
  wrongBytes,
  wrongSize,
} from "#test/blob/faulty-sources.ts";
import type { Fault } from "#test/support/registry/fault.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { ask, begin, type EndpointOptions, startEndpoint } from "../endpoint.ts";

const small = blobOf("small", 200_000);
const big = blobOf("big", collectBytes + 500_000);
let registry: TestRegistry;

beforeEach(async () => {
  registry = await startRegistry();
  for (const { bytes } of [small, big]) registry.addBlob(repository, bytes);
});

afterEach(() => registry.close());

function pathOf({ ref }: TestBlob): string {
  return `/v2/${ref.repository}/blobs/${ref.digest}`;
}

test("a blob comes over NDN with the headers of a registry", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(small));
  const { status, headers, body } = await ask(endpoint.url, pathOf(small));
  expect(status).toBe(200);
  expect(body.equals(small.bytes)).toBe(true);
  expect(headers).toMatchObject({
    "content-length": "200000",
    "content-type": "application/octet-stream",
    "docker-content-digest": small.ref.digest,
    "docker-distribution-api-version": "registry/2.0",
    "accept-ranges": "bytes",
    etag: `"${small.ref.digest}"`,
    "x-blob-source": "ndn",
    "cache-status": "ndn-registry; hit; detail=ndn",
  });
  expect(registry.blobGets(small.ref.digest)).toEqual([]);
});

test.each(["bytes=0-", "bytes=0-199999", "bytes=0-999999", "bytes=-200000"])("%s is the whole blob", async (range) => {
  const ndn = holds(small);
  await using endpoint = await startEndpoint(registry.url, ndn);
  const { status, headers, body } = await ask(endpoint.url, pathOf(small), { headers: { range } });
  expect([status, headers["content-range"], headers["x-blob-source"]]).toEqual([206, "bytes 0-199999/200000", "ndn"]);
  expect(body.equals(small.bytes)).toBe(true);
  expect(ndn.openedAt).toEqual([0]);
});

test.each([{ range: "bytes=100-199" }, { range: "bytes=0-99" }, { range: "bytes=0-1,5-9" }, { range: "bytes=5-3" }])(
  "%o is the registry's to answer",
  async (headers) => {
    const ndn = holds(small);
    await using endpoint = await startEndpoint(registry.url, ndn);
    const [through, straight] = await Promise.all(
      [endpoint.url, registry.url].map((base) => ask(base, pathOf(small), { headers })),
    );
    expect(through!.status).toBe(straight!.status);
    expect(through!.headers["content-range"]).toBe(straight!.headers["content-range"]);
    expect(through!.body.equals(straight!.body)).toBe(true);
    expect(ndn.openedAt).toEqual([]);
  },
);

test("an empty blob is served, and a range of it is the registry's to refuse", async () => {
  const empty = blobOf("empty", 0);
  registry.addBlob(repository, empty.bytes);
  await using endpoint = await startEndpoint(registry.url, holds(empty));
  expect(await ask(endpoint.url, pathOf(empty))).toMatchObject({ status: 200, headers: { "content-length": "0" } });
  const straight = await ask(registry.url, pathOf(empty), { headers: { range: "bytes=0-" } });
  const through = await ask(endpoint.url, pathOf(empty), { headers: { range: "bytes=0-" } });
  expect(through.status).toBe(straight.status);
});

test.each<[string, Fault | undefined, EndpointOptions?]>([
  ["a 206", undefined],
  ["a 200 with the right beginning", { kind: "ignore-range" }],
  ["a short 206", { kind: "short-206", times: 1 }],
  ["a reset", { kind: "reset-after", bytes: 100_000, times: 1 }],
  ["a stall", { kind: "stall-after", bytes: 100_000, times: 1 }, { stallTimeoutMs: 300 }],
])("when NDN breaks at a byte, upstream goes on from there with %s", async (_, fault, options) => {
  registry.fault = fault;
  // NDN is left to be asked once more, so that a stall is broken off.
  const paths = () => ({ first: [breaksAfter(1_000_001, big)], lastResort: unavailable() });
  await using endpoint = await startEndpoint(registry.url, { paths }, options);
  const { status, headers, body } = await ask(endpoint.url, pathOf(big));
  expect([status, headers["x-blob-source"]]).toEqual([200, "ndn"]);
  expect(body.equals(big.bytes)).toBe(true);
  const line = await until("the log line", () => endpoint.logs[0]);
  expect(line).toMatchObject({ outcome: "complete", repository, digest: big.ref.digest });
  expect(line.bytes).toEqual({ ndn: 1_000_001, upstream: big.bytes.length - 1_000_001 });
});

test.each([
  ["a 200 with another beginning", { kind: "ignore-range-wrong" }],
  ["a 206 for another range", { kind: "wrong-206" }],
  ["a 500", { kind: "status", status: 500 }],
] as const)("when NDN breaks at a byte and upstream has only %s, the connection is broken off", async (_, fault) => {
  registry.fault = fault;
  await using endpoint = await startEndpoint(registry.url, breaksAfter(1_000_001, big));
  await expect(ask(endpoint.url, pathOf(big))).rejects.toThrow("aborted");
  await until("the log line", () => endpoint.logs.some(({ outcome }) => outcome === "broken"));
});

test("an upstream without ranges that itself breaks off is asked again from the start, with proof", async () => {
  registry.faults.set(big.ref.digest, { kind: "reset-after", bytes: 500_000, times: 1 });
  registry.fault = { kind: "ignore-range" };
  await using endpoint = await startEndpoint(registry.url);
  const { body } = await ask(endpoint.url, pathOf(big));
  expect(body.equals(big.bytes)).toBe(true);
});

test("without a face, and without a route, upstream serves and says so", async () => {
  for (const ndn of [undefined, unavailable()]) {
    await using endpoint = await startEndpoint(registry.url, ndn);
    const { status, headers, body } = await ask(endpoint.url, pathOf(small));
    expect([status, headers["x-blob-source"]]).toEqual([200, "upstream"]);
    expect(headers["cache-status"]).toBe("ndn-registry; fwd=miss; detail=upstream");
    expect(body.equals(small.bytes)).toBe(true);
  }
});

test("a small blob that NDN has wrong is replaced without a trace, and stays off NDN", async () => {
  const ndn = wrongBytes(small);
  await using endpoint = await startEndpoint(registry.url, ndn);
  for (let turn = 0; turn < 2; turn++) {
    const { headers, body } = await ask(endpoint.url, pathOf(small));
    expect(headers["x-blob-source"]).toBe("upstream");
    expect(body.equals(small.bytes)).toBe(true);
  }
  expect(ndn.openedAt).toEqual([0]);
});

test("a big blob that NDN has wrong never completes, and the retry is pure upstream", async () => {
  const ndn = wrongBytes(big);
  await using endpoint = await startEndpoint(registry.url, ndn);
  await expect(ask(endpoint.url, pathOf(big))).rejects.toThrow("aborted");
  const { headers, body } = await ask(endpoint.url, pathOf(big));
  expect(headers["x-blob-source"]).toBe("upstream");
  expect(body.equals(big.bytes)).toBe(true);
  expect(ndn.openedAt).toEqual([0]);
});

test("NDN is not used when its size is not the upstream's", async () => {
  await using endpoint = await startEndpoint(registry.url, wrongSize(big.bytes.length + 1, big));
  const { headers, body } = await ask(endpoint.url, pathOf(big));
  expect(headers["x-blob-source"]).toBe("upstream");
  expect(body.equals(big.bytes)).toBe(true);
});

test("the first bytes of a big blob go out while the rest is not there yet", async () => {
  const ndn = stalls(300_000, big);
  await using endpoint = await startEndpoint(registry.url, ndn);
  const answer = await begin(endpoint.url, pathOf(big));
  let sizeBytes = 0;
  for await (const piece of answer) {
    sizeBytes += (piece as Buffer).length;
    if (sizeBytes === 300_000) break;
  }
  expect(sizeBytes).toBe(300_000);
});

test("a reader that does not read stops the source", async () => {
  let given = 0;
  const sizeBytes = 1 << 30;
  await using endpoint = await startEndpoint(
    registry.url,
    {
      name: "ndn",
      open: async () => ({
        sizeBytes,
        chunks: (async function* () {
          for (const piece = Buffer.alloc(1 << 20); given < sizeBytes; given += piece.length) yield piece;
        })(),
      }),
    },
    { authorize: "none" },
  );
  const answer = await begin(endpoint.url, pathOf(big));
  const seen: number[] = [];
  await until("the source to rest", () => seen.push(given) > 1 && seen.at(-2) === given);
  expect(given).toBeLessThan(64 << 20);
  answer.destroy();
});

test("a reader that goes away cancels the fetch", async () => {
  const ndn = stalls(300_000, big);
  await using endpoint = await startEndpoint(registry.url, ndn);
  const answer = await begin(endpoint.url, pathOf(big));
  await once(answer, "data");
  answer.destroy();
  await until("the abort", () => ndn.signals[0]?.aborted);
  await until("the log line", () => endpoint.logs.some(({ outcome }) => outcome === "cancelled"));
});

test("a reader that goes away before the first byte cancels the fetch as well", async () => {
  const ndn = stalls(0, small);
  await using endpoint = await startEndpoint(registry.url, ndn);
  const controller = new AbortController();
  const asking = fetch(new URL(pathOf(small), endpoint.url), { signal: controller.signal });
  await until("the fetch", () => ndn.openedAt.length === 1);
  controller.abort();
  await expect(asking).rejects.toThrow();
  await until("the abort", () => ndn.signals[0]?.aborted);
});

test("three blobs are in flight at once: each waits for the next one to begin", async () => {
  const blobs = ["a", "b", "c"].map((seed) => blobOf(seed, 100_000));
  for (const { bytes } of blobs) registry.addBlob(repository, bytes);
  const begun = blobs.map(() => Promise.withResolvers<void>());
  const sources = blobs.map((blob, at) => waitsFor(begun[(at + 1) % blobs.length]!.promise, blob));
  await using endpoint = await startEndpoint(registry.url, {
    name: "ndn",
    open: (ref, from, signal) => {
      const at = blobs.findIndex((blob) => blob.ref.digest === ref.digest);
      begun[at]!.resolve();
      return sources[at]!.open(ref, from, signal);
    },
  });
  const answers = await Promise.all(blobs.map((blob) => ask(endpoint.url, pathOf(blob))));
  expect(answers.every(({ body }, at) => body.equals(blobs[at]!.bytes))).toBe(true);
});

test("bytes are counted by source as they are written", async () => {
  await using endpoint = await startEndpoint(registry.url, breaksAfter(1_000, small));
  await ask(endpoint.url, pathOf(small));
  await until("the end", () => endpoint.logs.length === 1);
  const text = (await ask(endpoint.url, "/metrics")).body.toString();
  expect(text).toContain('ndn_registry_blob_bytes_total{source="ndn"} 1000\n');
  expect(text).toContain('ndn_registry_blob_bytes_total{source="upstream"} 199000\n');
  expect(text).toContain('ndn_registry_blobs_total{outcome="complete"} 1\n');
  expect(text).toContain("ndn_registry_blobs_in_flight 0\n");
});
