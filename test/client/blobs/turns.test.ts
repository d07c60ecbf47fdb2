/** Blobs that wait for their turn on an uplink: no one takes them for late, silent or failed. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobSource } from "#blob/source.ts";
import type { BlobStore } from "#store/blob-store.ts";
import { blobOf, repository } from "#test/blob/faulty-sources.ts";
import { type GatedSource, gated } from "#test/fetch/gated-source.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { inTurn } from "#uplinks/in-turn.ts";
import { Turns } from "#uplinks/turns.ts";
import type { NdnBlobs } from "#uplinks/uplink-blobs.ts";
import { ask, type Endpoint } from "../endpoint.ts";
import { useCachedStage } from "./cached-stage.ts";

const hedgeMs = 100;
const blobs = Array.from({ length: 12 }, (_, i) => blobOf(`in turn ${i}`, 500_000));
const paths = new Map(blobs.map(({ ref: { digest } }) => [digest as string, `/v2/${repository}/blobs/${digest}`]));
const stage = useCachedStage();
let registry: TestRegistry;
let turns: Turns;
let sources: Map<string, GatedSource>;

beforeEach(async () => {
  registry = await startRegistry();
  for (const { bytes } of blobs) registry.addBlob(repository, bytes);
  turns = new Turns({ size: 64 });
  sources = new Map(blobs.map((blob) => [blob.ref.digest, gated(blob, "ndn")]));
  for (const source of sources.values()) source.allow(100_000); // none of them is late
});
afterEach(() => registry.close());

/** One uplink, with its turns. */
function ndn(): NdnBlobs {
  const source: BlobSource = { name: "ndn", open: (blob, ...rest) => sources.get(blob.digest)!.open(blob, ...rest) };
  const path = {
    ...source,
    inTurn: (wrapped: BlobSource, outlook: Parameters<typeof inTurn>[2]) => inTurn(wrapped, turns, outlook, () => true),
  };
  return { paths: () => ({ first: [path], lastResort: path }) };
}

/** Begin all twelve; resolves when four have waited for several times the hedge's delay. */
async function beginAll({ url }: Endpoint) {
  const answers = [...paths.values()].map((path) => ask(url, path));
  await until("eight to be read", () => turns.running === 8 && turns.waiting === 4);
  const fullMs = performance.now();
  await until("the others to be late, if they were", () => performance.now() - fullMs > 5 * hedgeMs);
  expect([...sources.values()].filter(({ openedAt }) => openedAt.length > 0)).toHaveLength(8);
  return answers;
}

async function expectAllOverNdn({ metrics }: Endpoint, answers: Awaited<ReturnType<typeof beginAll>>): Promise<void> {
  for (const [i, { status, body }] of (await Promise.all(answers)).entries()) {
    expect([status, body.equals(blobs[i]!.bytes)]).toEqual([200, true]);
  }
  const samples = parseMetrics(await metrics.metrics());
  const total = blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(sumOf(samples, "ndn_registry_blob_bytes_total", { source: "ndn" })).toBe(total);
  expect(sumOf(samples, "ndn_registry_hedges_total")).toBe(0);
  expect(blobs.flatMap(({ ref }) => registry.blobGets(ref.digest))).toEqual([]);
  expect([turns.running, turns.waiting]).toEqual([0, 0]);
}

test.each(["with a cache", "without one"])("they are not asked for at the upstream, %s", async (cache) => {
  const store: { store?: BlobStore | undefined } = cache === "with a cache" ? {} : { store: undefined };
  const endpoint = await stage.start(registry.url, ndn(), { authorize: "none", hedge: hedgeMs, ...store });
  const answers = await beginAll(endpoint);
  for (const source of sources.values()) source.allow(500_000);
  await expectAllOverNdn(endpoint, answers);
});

test("another puller of one that waits follows it, and both get it", async () => {
  const endpoint = await stage.start(registry.url, ndn(), { authorize: "none", hedge: hedgeMs });
  const answers = await beginAll(endpoint);
  const waiting = blobs.findIndex(({ ref }) => sources.get(ref.digest)!.openedAt.length === 0);
  const follower = ask(endpoint.url, [...paths.values()][waiting]!);
  for (const source of sources.values()) source.allow(500_000);
  expect((await follower).body.equals(blobs[waiting]!.bytes)).toBe(true);
  await Promise.all(answers);
  expect(sources.get(blobs[waiting]!.ref.digest)!.openedAt).toEqual([0]);
});

test("the upstream is asked for the rights of those who wait while they wait", async () => {
  const endpoint = await stage.start(registry.url, ndn(), { authorize: "upstream", hedge: "off" });
  const answers = await beginAll(endpoint);
  const asked = () => new Set(registry.requests.filter(({ method }) => method === "HEAD").map(({ url }) => url)).size;
  await until("all rights to be asked for", () => asked() === blobs.length);
  for (const source of sources.values()) source.allow(500_000);
  await expectAllOverNdn(endpoint, answers);
});

test("a path that fails while others wait for it is left by all of them, and the upstream serves", async () => {
  const endpoint = await stage.start(registry.url, ndn(), { authorize: "none", hedge: "off" });
  const answers = await beginAll(endpoint);
  for (const source of sources.values()) source.breakOff();
  for (const [i, answer] of answers.entries()) expect((await answer).body.equals(blobs[i]!.bytes)).toBe(true);
  expect([turns.running, turns.waiting]).toEqual([0, 0]);
});
