import pino from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { BlobUnavailable } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-response.ts";
import { BlobRecord } from "#client/status/blob-record.ts";
import { createClientMetrics, exposeStore } from "#client/status/metrics.ts";
import { PullLog } from "#client/status/pull-log.ts";
import { noteUpstreamAnswer, parseRateLimit, upstreamErrorKind } from "#client/status/upstream-answer.ts";
import { RegistryUnreachable } from "#oci/errors.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { digestOf } from "./stage.ts";

async function samplesOf(registry: Registry) {
  return parseMetrics(await registry.metrics());
}

const withCode = (code: string) => Object.assign(new Error("x"), { code });
const wrapped = (cause: unknown) => new BlobUnavailable("x", { cause: new RegistryUnreachable("x", { cause }) });

test.each([
  ["unreachable", wrapped(withCode("ECONNREFUSED"))],
  ["unreachable", wrapped(new AggregateError([withCode("EHOSTUNREACH")]))],
  ["unreachable", "not even an error"],
  ["timeout", wrapped(withCode("UND_ERR_HEADERS_TIMEOUT"))],
  ["timeout", new RegistryUnreachable("x", { cause: new DOMException("x", "TimeoutError") })],
  ["broken", wrapped(withCode("ECONNRESET"))],
  ["broken", new BlobUnavailable("upstream ended at byte 5 of 6")],
  ["429", new BlobUnavailable("x", { cause: new UpstreamAnswer(429, {}, Buffer.alloc(0)) })],
  ["5xx", new UpstreamAnswer(503, {}, Buffer.alloc(0))],
])("an upstream failure is %s", (kind, err) => {
  expect(upstreamErrorKind(err)).toBe(kind);
});

test("an error that is its own cause has a kind as well", () => {
  const err = new Error("x");
  err.cause = err;
  expect(upstreamErrorKind(err)).toBe("unreachable");
});

test("an answer of 429 or 5xx is an upstream error, others are not, and quota is shown per registry", async () => {
  const metrics = createClientMetrics(new Registry());
  const quota = { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600" };
  for (const status of [200, 404, 429, 503]) noteUpstreamAnswer(metrics, "docker.io", { status, headers: quota });
  const samples = await samplesOf(metrics.registry);
  const errors = (kind: string) => samples.get(`ndn_registry_upstream_errors_total{kind="${kind}"}`);
  expect(["429", "5xx", "broken", "timeout", "unreachable"].map(errors)).toEqual([1, 1, 0, 0, 0]);
  expect(samples.get('ndn_registry_upstream_rate_limit{registry="docker.io"}')).toBe(100);
  expect(samples.get('ndn_registry_upstream_rate_limit_remaining{registry="docker.io"}')).toBe(76);
});

test("a quota that is missing or makes no sense is no quota", () => {
  const parse = (limit?: string, remaining?: string) =>
    parseRateLimit({ "ratelimit-limit": limit, "ratelimit-remaining": remaining });
  expect(parse("100;w=21600", "0;w=21600")).toEqual({ limit: 100, remaining: 0 });
  expect(parse("100", "99")).toEqual({ limit: 100, remaining: 99 });
  for (const [limit, remaining] of [[], ["100"], ["x", "1"], ["-1", "1"], ["1e9", "1"], ["9".repeat(400), "1"]])
    expect(parse(limit, remaining)).toBeUndefined();
});

test("every upstream error has a kind, and each label starts at 0", async () => {
  const metrics = createClientMetrics(new Registry());
  expect(sumOf(await samplesOf(metrics.registry), "ndn_registry_upstream_errors_total")).toBe(0);
  metrics.upstreamErrors.inc();
  metrics.upstreamErrors.inc("timeout");
  const samples = await samplesOf(metrics.registry);
  expect(sumOf(samples, "ndn_registry_upstream_errors_total", { kind: "unreachable" })).toBe(1);
  expect(sumOf(samples, "ndn_registry_upstream_errors_total")).toBe(2);
  expect(samples.get('ndn_registry_blob_requests_total{result="follower"}')).toBe(0);
});

test("how full the store is, is read when scraped", async () => {
  const registry = new Registry();
  let use: { usedBytes: number; maxBytes: number; blobs: number } | undefined;
  exposeStore(registry, () => use);
  expect((await samplesOf(registry)).get("ndn_registry_store_limit_bytes")).toBe(0);
  use = { usedBytes: 7, maxBytes: 10, blobs: 1 };
  const samples = await samplesOf(registry);
  expect(["bytes", "limit_bytes", "blobs"].map((name) => samples.get(`ndn_registry_store_${name}`))).toEqual([
    7, 10, 1,
  ]);
});

test("a blob request is a hit or a miss by where its bytes came from, unless said otherwise", async () => {
  const metrics = createClientMetrics(new Registry());
  const blob = { repository: "a", digest: digestOf("a") };
  const services = { log: pino({ level: "silent" }), metrics, pulls: new PullLog() };
  const begin = () => new BlobRecord(services, { client: "::1", registry: "docker.io", ...blob });
  const cached = begin();
  cached.wrote("store", 1);
  cached.end("complete");
  const fetched = begin();
  fetched.wrote("store", 1);
  fetched.wrote("ndn", 1);
  fetched.end("broken");
  const follower = begin();
  follower.result = "follower";
  follower.wrote("store", 1);
  follower.end("complete");
  begin().end("refused");
  const samples = await samplesOf(metrics.registry);
  const count = (result: string) => samples.get(`ndn_registry_blob_requests_total{result="${result}"}`);
  expect(["store", "follower", "miss", "bypass"].map(count)).toEqual([1, 1, 1, 0]);
  expect(samples.get("ndn_registry_blobs_in_flight")).toBe(0);
});

test("a running blob request is shown with its size and its bytes, until its end", () => {
  const pulls = new PullLog();
  const services = { log: pino({ level: "silent" }), metrics: createClientMetrics(new Registry()), pulls };
  const request = { client: "::1", registry: "docker.io", repository: "a", digest: digestOf("a") };
  const record = new BlobRecord(services, request);
  expect(pulls.live(1)).toMatchObject([{ ...request, sizeBytes: null, bytes: { peer: 0 } }]);
  record.sizeBytes = 9;
  record.wrote("peer", 4);
  record.wrote("peer", 5);
  expect(pulls.live(1)).toMatchObject([{ ...request, sizeBytes: 9, bytes: { peer: 9, ndn: 0 } }]);
  record.end("complete");
  expect(pulls.live(1)).toEqual([]);
  expect(pulls.pulls()).toMatchObject([{ bytes: { peer: 9 }, blobs: { live: 0, complete: 1, failed: 0 } }]);
});
