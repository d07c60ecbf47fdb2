/** Upstreams that do not say how long a blob is: one fetch serves all all the same, and is kept. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { BlobStore } from "#store/blob-store.ts";
import { blobOf, breaksAfter, repository, type TestBlob } from "#test/blob/faulty-sources.ts";
import { type RawUpstream, startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { until } from "#test/support/until.ts";
import { ask, begin, startEndpoint } from "../endpoint.ts";
import { useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const small = blobOf("small of unknown length", 200_000);
const large = blobOf("large of unknown length", collectBytes + 4_000_000);
const pathOf = ({ ref }: TestBlob) => `/v2/${repository}/blobs/${ref.digest}`;

const mediaType = "application/vnd.oci.image.manifest.v1+json";
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: small.ref.digest,
      size: small.bytes.length,
    },
    layers: [{ mediaType: "a/b", digest: large.ref.digest, size: large.bytes.length }],
  }),
);
const manifestPath = `/v2/${repository}/manifests/sha256:${createHash("sha256").update(manifest).digest("hex")}`;

interface Chunked {
  /** Whether a HEAD says the length. */
  readonly saysInHead?: boolean;
  readonly bytes?: Buffer;
  readonly gate?: Promise<void>;
}

/** An upstream that knows no ranges, and answers to GETs of blobs in chunks. */
function chunkedUpstream({ saysInHead = false, bytes: others, gate }: Chunked = {}): Promise<RawUpstream> {
  return startUpstream((request: IncomingMessage, response: ServerResponse) => {
    if (request.url === manifestPath) return void response.setHeader("content-type", mediaType).end(manifest);
    const blob = [small, large].find((one) => request.url === pathOf(one))!;
    const bytes = others ?? blob.bytes;
    if (request.method === "HEAD") {
      if (saysInHead) response.setHeader("content-length", bytes.length);
      return void response.end();
    }
    response.write(bytes.subarray(0, bytes.length - 1));
    void Promise.resolve(gate).then(() => response.end(bytes.subarray(bytes.length - 1)));
  });
}

/** Until it comes from the cache: then the client has read it. */
function pullManifest(url: URL): Promise<unknown> {
  const isCached = async () => (await ask(url, manifestPath)).headers["x-blob-source"] === "store";
  return until("the manifest to be cached", isCached);
}

const getsOf = ({ seen }: RawUpstream, blob: TestBlob) =>
  seen.filter(({ method, url }) => method === "GET" && url === pathOf(blob));

test.each([
  ["small", small, false, "counted"],
  ["large", large, false, "counted"],
  ["large", large, true, "counted"],
  ["large", large, false, "in a manifest"],
] as const)(
  "ten pullers of a %s blob are one GET, and it is kept (HEAD says the length: %#)",
  async (_, blob, saysInHead, how) => {
    await using upstream = await chunkedUpstream({ saysInHead });
    await using endpoint = await stage.start(upstream.url);
    if (how === "in a manifest") await pullManifest(endpoint.url);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(endpoint.url, pathOf(blob))));
    for (const { status, headers, body } of answers) {
      expect([status, headers["content-length"]]).toEqual([200, String(blob.bytes.length)]);
      expect(body.equals(blob.bytes)).toBe(true);
    }
    expect(getsOf(upstream, blob)).toHaveLength(1);
    expect((await ask(endpoint.url, pathOf(blob))).headers["x-blob-source"]).toBe("store");
    expect(endpoint.store.usedBytes).toBe(blob.bytes.length + (how === "in a manifest" ? manifest.length : 0));
  },
);

test("where a manifest says the length, bytes are sent before the last one has come", async () => {
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  await using upstream = await chunkedUpstream({ gate });
  await using endpoint = await stage.start(upstream.url);
  await pullManifest(endpoint.url);
  const answer = await begin(endpoint.url, pathOf(large));
  resolve();
  let sizeBytes = 0;
  for await (const piece of answer) sizeBytes += (piece as Buffer).length;
  expect(sizeBytes).toBe(large.bytes.length);
});

test("where NDN breaks off, an upstream that does not say the length goes on from there", async () => {
  await using upstream = await chunkedUpstream();
  await using endpoint = await stage.start(upstream.url, breaksAfter(1_000_001, large));
  const { headers, body } = await ask(endpoint.url, pathOf(large));
  expect(headers["x-blob-source"]).toBe("ndn");
  expect(body.equals(large.bytes)).toBe(true);
});

test("wrong bytes of unknown length are never sent", async () => {
  await using upstream = await chunkedUpstream({ bytes: blobOf("another", large.bytes.length).bytes });
  await using endpoint = await stage.start(upstream.url);
  expect(await ask(endpoint.url, pathOf(large))).toMatchObject({ status: 503 });
  expect(endpoint.store.usedBytes).toBe(0);
});

test("a puller that leaves while a blob is counted leaves nothing behind in the end", { timeout: 60_000 }, async () => {
  await using upstream = await chunkedUpstream({ gate: new Promise(() => {}) });
  await using endpoint = await stage.start(upstream.url);
  const gone = new AbortController();
  const asked = fetch(new URL(pathOf(large), endpoint.url), { signal: gone.signal });
  await until("bytes to be counted", () => endpoint.store.usedBytes > collectBytes);
  gone.abort();
  await expect(asked).rejects.toThrow();
  await until("their end", () => endpoint.store.usedBytes === 0, 30_000); // others may come for 10 s
});

test.each([
  ["nothing is cached", 0],
  ["the cache is too small", 10_000_000],
])("a large blob whose length no one says is passed on when %s", async (_, maxBytes) => {
  await using upstream = await chunkedUpstream();
  const log = { info: () => {}, warn: () => {} };
  const store = maxBytes > 0 ? await BlobStore.open({ directory: stage.directory, maxBytes, log }) : undefined;
  stage.owned.defer(async () => store?.close());
  await using endpoint = await startEndpoint(upstream.url, undefined, { store });
  const { headers, body } = await ask(endpoint.url, pathOf(large));
  expect(headers["content-length"]).toBeUndefined();
  expect(body.equals(large.bytes)).toBe(true);
});
