import { createHash } from "node:crypto";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blobOf, holds, repository, stalls, type TestBlob, waitsFor } from "#test/blob/faulty-sources.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { type Answer, ask, begin, startEndpoint } from "../endpoint.ts";
import { countsOf, useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const large = blobOf("cold and large", 30_000_000);
const small = blobOf("cold and small", 100_000);
let registry: TestRegistry;

beforeEach(async () => {
  registry = await startRegistry();
  for (const { bytes } of [large, small]) registry.addBlob(repository, bytes);
});
afterEach(() => registry.close());

const pathOf = ({ ref }: TestBlob) => `/v2/${repository}/blobs/${ref.digest}`;
const path = pathOf(large);

function expectWhole({ status, body }: Answer, { bytes }: TestBlob): void {
  expect([status, body.length, body.equals(bytes)]).toEqual([200, bytes.length, true]);
}

function askTenTimes(url: URL): Promise<Answer[]> {
  return Promise.all(Array.from({ length: 10 }, () => ask(url, path)));
}

describe("10 pullers of one cold blob at once", () => {
  test("are one fetch from the upstream; who comes later is served from disk", async () => {
    registry.fault = { kind: "slow", bytesPerSecond: 60_000_000 };
    await using endpoint = await stage.start(registry.url);
    for (const answer of await askTenTimes(endpoint.url)) expectWhole(answer, large);
    expect(registry.blobGets(large.ref.digest)).toHaveLength(1);
    expect(registry.bytesSent).toBe(large.bytes.length);
    const size = large.bytes.length;
    expect(await countsOf(endpoint)).toEqual({ miss: 1, follower: 9, "upstream bytes": size, "store bytes": 9 * size });

    const later = await ask(endpoint.url, path);
    expectWhole(later, large);
    expect(later.headers).toMatchObject({
      "x-blob-source": "store",
      "cache-status": "ndn-registry; hit; detail=store",
      "docker-content-digest": large.ref.digest,
      "content-length": String(size),
    });
    expect(registry.blobGets(large.ref.digest)).toHaveLength(1);
    expect(await countsOf(endpoint)).toMatchObject({ store: 1, "store bytes": 10 * size });
  });

  test("are one fetch over NDN, and one question to the upstream", async () => {
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const ndn = waitsFor(gate, large);
    await using endpoint = await stage.start(registry.url, ndn, { hedge: "off" });
    const answers = askTenTimes(endpoint.url);
    const gauge = async (name: string) => sumOf(parseMetrics(await endpoint.metrics.metrics()), name);
    await until("ten requests", async () => (await gauge("ndn_registry_blobs_in_flight")) === 10);
    expect.soft(await gauge("ndn_registry_fetches_in_flight")).toBe(1);
    openGate();
    for (const answer of await answers) expectWhole(answer, large);
    await until("the end of the fetch", async () => (await gauge("ndn_registry_fetches_in_flight")) === 0);
    expect(ndn.openedAt).toEqual([0]);
    expect(registry.requests.map(({ method }) => method)).toEqual(["HEAD"]);
    const size = large.bytes.length;
    expect(await countsOf(endpoint)).toEqual({ miss: 1, follower: 9, "ndn bytes": size, "store bytes": 9 * size });
    const later = await ask(endpoint.url, path);
    expectWhole(later, large);
    expect(later.headers["x-blob-source"]).toBe("store");
    expect(ndn.openedAt).toEqual([0]);
  });

  test("are ten fetches where nothing is cached", async () => {
    await using endpoint = await startEndpoint(registry.url);
    for (const answer of await askTenTimes(endpoint.url)) expectWhole(answer, large);
    expect(registry.blobGets(large.ref.digest)).toHaveLength(10);
    expect(await countsOf(endpoint)).toMatchObject({ miss: 10, "upstream bytes": 10 * large.bytes.length });
  });
});

describe("a range of a cold blob", () => {
  const range = (from: number, to: number) => ({ headers: { range: `bytes=${from}-${to}` } });

  test("is answered before the whole is there, near what has come and far from it", async () => {
    registry.fault = { kind: "slow", bytesPerSecond: 2_000_000 };
    await using endpoint = await stage.start(registry.url);
    const whole = await begin(endpoint.url, path);
    await once(whole, "data");
    for (const start of [100, 25_000_000]) {
      const { status, headers, body } = await ask(endpoint.url, path, range(start, start + 99));
      expect([status, headers["content-range"]]).toEqual([206, `bytes ${start}-${start + 99}/30000000`]);
      expect(body.equals(large.bytes.subarray(start, start + 100))).toBe(true);
    }
    expect(endpoint.store.has(large.ref.digest)).toBe(false);
    whole.destroy();
  });

  test("is answered over NDN before the whole is there, where each piece is verified", async () => {
    const ndn = { ...stalls(5_000_000, large), isVerified: true };
    await using endpoint = await stage.start(registry.url, ndn);
    const { status, headers, body } = await ask(endpoint.url, path, range(1_000_000, 1_000_099));
    expect([status, headers["x-blob-source"]]).toEqual([206, "ndn"]);
    expect(body.equals(large.bytes.subarray(1_000_000, 1_000_100))).toBe(true);
    expect(registry.blobGets(large.ref.digest)).toEqual([]);
  });

  test("is the upstream's where no fetch runs", async () => {
    await using endpoint = await stage.start(registry.url, holds(large));
    const { status, headers, body } = await ask(endpoint.url, path, range(5, 9));
    expect([status, headers["x-blob-source"]]).toEqual([206, "upstream"]);
    expect(body.equals(large.bytes.subarray(5, 10))).toBe(true);
  });
});

test("a cached blob answers ranges and conditions by itself", async () => {
  await using endpoint = await stage.start(registry.url);
  await ask(endpoint.url, pathOf(small));
  await until("the blob to be cached", () => endpoint.store.has(small.ref.digest));
  const etag = `"${small.ref.digest}"`;
  const answer = (headers: Record<string, string>) => ask(endpoint.url, pathOf(small), { headers });
  const cases: [Record<string, string>, number, Buffer][] = [
    [{ range: "bytes=0-0" }, 206, small.bytes.subarray(0, 1)],
    [{ range: "bytes=500-1499" }, 206, small.bytes.subarray(500, 1500)],
    [{ range: "bytes=99500-" }, 206, small.bytes.subarray(99_500)],
    [{ range: "bytes=-500" }, 206, small.bytes.subarray(-500)],
    [{ range: "bytes=0-" }, 206, small.bytes],
    [{ "if-none-match": etag }, 304, Buffer.alloc(0)],
    [{ "if-none-match": '"other"' }, 200, small.bytes],
    [{ range: "bytes=5-9", "if-range": etag }, 206, small.bytes.subarray(5, 10)],
    [{ range: "bytes=5-9", "if-range": '"other"' }, 200, small.bytes],
    [{ "if-match": '"other"' }, 412, Buffer.alloc(0)],
  ];
  for (const [headers, status, bytes] of cases) {
    const { status: found, headers: answered, body } = await answer(headers);
    expect([headers, found, answered["x-blob-source"]]).toEqual([headers, status, "store"]);
    expect(body.equals(bytes)).toBe(true);
  }
  const beyond = await answer({ range: "bytes=100000-" });
  expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, "bytes */100000"]);
  expect(registry.blobGets(small.ref.digest)).toHaveLength(1);
});

test("several ranges of a cached blob come from the cache", async () => {
  await using endpoint = await stage.start(registry.url);
  await ask(endpoint.url, pathOf(small));
  await until("the blob to be cached", () => endpoint.store.has(small.ref.digest));
  const { status, headers } = await ask(endpoint.url, pathOf(small), { headers: { range: "bytes=0-4,10-14" } });
  expect([status, headers["content-type"]?.split(";")[0]]).toEqual([206, "multipart/byteranges"]);
  expect(headers["x-blob-source"]).toBe("store");
});

test("a blob that is deleted through the endpoint is gone at once, from store and NDN, until it is pushed again", async () => {
  const ndn = holds(small);
  await using endpoint = await stage.start(registry.url, ndn);
  expectWhole(await ask(endpoint.url, pathOf(small)), small);
  expect((await ask(endpoint.url, pathOf(small), { method: "DELETE" })).status).toBe(202);
  for (const method of ["GET", "HEAD"]) {
    const [through, straight] = [
      await ask(endpoint.url, pathOf(small), { method }),
      await ask(registry.url, pathOf(small), { method }),
    ];
    expect([through.status, through.body.toString()]).toEqual([404, straight.body.toString()]);
  }
  expect((await ask(endpoint.url, pathOf(small), { headers: { range: "bytes=0-9" } })).status).toBe(404);
  expect(endpoint.store.has(small.ref.digest)).toBe(false);
  expect(ndn.openedAt).toEqual([0]);
  registry.addBlob(repository, small.bytes);
  expectWhole(await ask(endpoint.url, pathOf(small)), small);
});

test("a blob that is deleted while it is fetched is not cached", async () => {
  registry.fault = { kind: "slow", bytesPerSecond: 60_000_000 };
  await using endpoint = await stage.start(registry.url);
  const running = ask(endpoint.url, path).catch(() => "broken off");
  await until("the fetch", () => registry.bytesSent > 0);
  expect((await ask(endpoint.url, path, { method: "DELETE" })).status).toBe(202);
  await running;
  expect((await ask(endpoint.url, path)).status).toBe(404);
  expect(endpoint.store.has(large.ref.digest)).toBe(false);
});

test.each([0, 1, 1_000, 16_384])("a blob of %i bytes is cached as well", async (sizeBytes) => {
  const blob = blobOf(`small ${sizeBytes}`, sizeBytes);
  registry.addBlob(repository, blob.bytes);
  await using endpoint = await stage.start(registry.url);
  for (const source of ["upstream", "store"]) {
    const answer = await ask(endpoint.url, pathOf(blob));
    expectWhole(answer, blob);
    expect(answer.headers["x-blob-source"]).toBe(source);
  }
  const head = await ask(endpoint.url, pathOf(blob), { method: "HEAD" });
  expect([head.status, head.headers["content-length"]]).toEqual([200, String(sizeBytes)]);
  expect(registry.blobGets(blob.ref.digest)).toHaveLength(1);
});

test("what the upstream has wrong is neither served whole nor cached", async () => {
  registry.fault = { kind: "wrong-bytes" };
  await using endpoint = await stage.start(registry.url);
  expect((await ask(endpoint.url, pathOf(small))).status).toBe(503);
  await expect(ask(endpoint.url, path)).rejects.toThrow();
  expect(endpoint.store.count).toBe(0);
  registry.fault = undefined;
  const answer = await ask(endpoint.url, path);
  expect(createHash("sha256").update(answer.body).digest("hex")).toBe(large.ref.digest.slice(7));
});
