import { afterEach, beforeEach, expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, holds, repository, type TestBlob, unavailable, wrongBytes } from "#test/blob/faulty-sources.ts";
import { gated } from "#test/fetch/gated-source.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { ask, begin, startEndpoint } from "../endpoint.ts";
import { useCachedStage } from "./cached-stage.ts";

const mib = 1024 * 1024;
const small = blobOf("a small one", 200_000);
const big = blobOf("a big one", collectBytes + 4 * mib);
const huge = blobOf("a huge one", 20 * mib); // more than what is kept of it in memory
const stage = useCachedStage();
let registry: TestRegistry;

beforeEach(async () => {
  registry = await startRegistry();
  for (const { bytes } of [small, big]) registry.addBlob(repository, bytes);
});

afterEach(() => registry.close());

const pathOf = ({ ref }: TestBlob) => `/v2/${ref.repository}/blobs/${ref.digest}`;
const ranged = (range: string, more: Record<string, string> = {}) => ({ headers: { range, ...more } });
const etag = `"${small.ref.digest}"`;

test("ranges to the end of a blob read it over NDN once, and the cache keeps it", async () => {
  const ndn = gated(big, "ndn");
  await using endpoint = await stage.start(registry.url, ndn);
  const starts = [0, 2 * mib, 5 * mib, 9 * mib];
  const asked = starts.map((start) => ask(endpoint.url, pathOf(big), ranged(`bytes=${start}-`)));
  await until("all of them to be readers", () => endpoint.store && ndn.openedAt.length === 1);
  ndn.allow(big.bytes.length);
  for (const [i, { status, headers, body }] of (await Promise.all(asked)).entries()) {
    expect([status, headers["content-range"]]).toEqual([
      206,
      `bytes ${starts[i]}-${big.bytes.length - 1}/${big.bytes.length}`,
    ]);
    expect(body.equals(big.bytes.subarray(starts[i]))).toBe(true);
  }
  await until("the blob to be cached", () => endpoint.store.has(big.ref.digest));
  expect(ndn.openedAt).toEqual([0]);
  expect(registry.blobGets(big.ref.digest)).toEqual([]);
});

test("the next range finds the fetch running that one left without reading it, and what it brings counts as NDN's", async () => {
  const ndn = gated(big, "ndn");
  await using endpoint = await stage.start(registry.url, ndn);
  ndn.allow(collectBytes + mib);
  const first = await begin(endpoint.url, pathOf(big), ranged("bytes=0-"));
  first.destroy();
  const next = ask(endpoint.url, pathOf(big), ranged(`bytes=${mib}-`));
  ndn.allow(big.bytes.length);
  const { status, headers, body } = await next;
  expect([status, headers["x-blob-source"], body.equals(big.bytes.subarray(mib))]).toEqual([206, "ndn", true]);
  expect(ndn.openedAt).toEqual([0]);
});

test("a wrong blob breaks off each range before its last bytes", async () => {
  const ndn = wrongBytes(big, "ndn", 5);
  await using endpoint = await stage.start(registry.url, ndn);
  const asked = [0, 9 * mib].map((start) =>
    ask(endpoint.url, pathOf(big), ranged(`bytes=${start}-`)).then(
      ({ body }) => body.length,
      () => "broken off",
    ),
  );
  expect(await Promise.all(asked)).toEqual(["broken off", "broken off"]);
  expect(endpoint.store.has(big.ref.digest)).toBe(false);
});

test("where each packet is checked a part comes over NDN by itself, also several at once", async () => {
  const ndn = { ...holds(big), isVerified: true };
  for (const start of [startEndpoint, (...of: Parameters<typeof stage.start>) => stage.start(...of)]) {
    await using endpoint = await start(registry.url, ndn);
    const one = await ask(endpoint.url, pathOf(big), ranged("bytes=9000000-9000099"));
    expect([one.status, one.headers["x-blob-source"]]).toEqual([206, "ndn"]);
    expect(one.body.equals(big.bytes.subarray(9_000_000, 9_000_100))).toBe(true);
    const several = await ask(endpoint.url, pathOf(big), ranged("bytes=5-9,9000000-9000004,5-9,-3"));
    expect([several.status, Number(several.headers["content-length"])]).toEqual([206, several.body.length]);
    for (const [from, to] of [
      [5, 10],
      [9_000_000, 9_000_005],
      [big.bytes.length - 3, big.bytes.length],
    ] as const) {
      expect(
        several.body.includes(
          Buffer.concat([Buffer.from("\r\n\r\n"), big.bytes.subarray(from, to), Buffer.from("\r\n--")]),
        ),
      ).toBe(true);
    }
  }
  expect(registry.blobGets(big.ref.digest)).toEqual([]);
});

test("a range that cannot be satisfied is refused with the size, whoever has the blob", async () => {
  for (const ndn of [holds(small), { ...holds(small), isVerified: true }, unavailable()]) {
    await using endpoint = await startEndpoint(registry.url, ndn);
    for (const range of ["bytes=200000-", "bytes=300000-300005"]) {
      const { status, headers } = await ask(endpoint.url, pathOf(small), ranged(range));
      expect([status, headers["content-range"]]).toEqual([416, "bytes */200000"]);
    }
  }
});

test("conditions go before ranges, whether or not the blob is cached (RFC 9110 § 13.2.2)", async () => {
  await using endpoint = await startEndpoint(registry.url, { ...holds(small), isVerified: true });
  const cases: [Record<string, string>, number, number][] = [
    [{ range: "bytes=0-9", "if-none-match": etag }, 304, 0],
    [{ range: "bytes=0-9", "if-none-match": '"other"' }, 206, 10],
    [{ "if-match": '"other"' }, 412, 0],
    [{ range: "bytes=5-9", "if-range": etag }, 206, 5],
    [{ range: "bytes=5-9", "if-range": '"other"' }, 200, 200_000],
    [{ range: "bytes=5-9", "if-range": `W/${etag}` }, 200, 200_000],
    [{ range: "items=5-9" }, 200, 200_000],
  ];
  for (const [headers, status, bytes] of cases) {
    const answer = await ask(endpoint.url, pathOf(small), { headers });
    expect([headers, answer.status, answer.body.length]).toEqual([headers, status, bytes]);
  }
  expect(registry.blobGets(small.ref.digest)).toEqual([]);
  const head = (headers: Record<string, string>) => ask(endpoint.url, pathOf(small), { method: "HEAD", headers });
  expect((await head({ "if-none-match": etag })).status).toBe(304);
  const ranged = await head({ range: "bytes=0-9" });
  expect([ranged.status, ranged.headers["content-length"]]).toEqual([200, "200000"]);
  const unknown = pathOf(blobOf("not there", 10));
  expect((await ask(endpoint.url, unknown, { headers: { "if-none-match": "*" } })).status).toBe(404);
});

test("without an upstream a part waits until the blob is known to be right", async () => {
  await using endpoint = await stage.start(registry.url, holds(big), { authorize: "none" });
  await registry.close();
  const { status, body } = await ask(endpoint.url, pathOf(big), ranged("bytes=100-199"));
  expect([status, body.equals(big.bytes.subarray(100, 200))]).toEqual([206, true]);
  await using another = await startEndpoint(registry.url, holds(small), { authorize: "none" });
  const invalid = await ask(another.url, pathOf(small), ranged("bytes=5-3"));
  expect([invalid.status, invalid.headers["content-range"]]).toEqual([416, "bytes */200000"]);
});

test("several ranges are complete also where nothing but the whole blob can be verified", async () => {
  registry.addBlob(repository, huge.bytes);
  for (const start of [startEndpoint, (...of: Parameters<typeof stage.start>) => stage.start(...of)]) {
    for (const range of ["bytes=9000000-,5-9", "bytes=-5,0-3"]) {
      await using endpoint = await start(registry.url, holds(huge));
      const { headers, body } = await ask(endpoint.url, pathOf(huge), ranged(range));
      expect([headers["x-blob-source"], body.length]).toEqual(["upstream", Number(headers["content-length"])]);
    }
  }
});

test("without an upstream several ranges are given as the whole where nothing else can be verified", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(huge), { authorize: "none" });
  await registry.close();
  const { status, body } = await ask(endpoint.url, pathOf(huge), ranged("bytes=9000000-,5-9"));
  expect([status, body.equals(huge.bytes)]).toEqual([200, true]);
});

test("several ranges that make a blob whole hold up no one who shares its fetch", async () => {
  const ndn = { ...holds(huge), isVerified: true };
  await using endpoint = await startEndpoint(registry.url, ndn, { authorize: "none" });
  const several = await begin(endpoint.url, pathOf(huge), ranged("bytes=5-,0-")); // and reads nothing of it
  expect([several.statusCode, several.headers["content-length"]]).toEqual([200, `${huge.bytes.length}`]);
  const { body } = await ask(endpoint.url, pathOf(huge), ranged("bytes=0-"));
  expect(body.equals(huge.bytes)).toBe(true);
  several.destroy();
});
