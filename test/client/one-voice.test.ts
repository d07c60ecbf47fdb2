/** A gate before the registry wants something in each request: what a puller says reaches it, whatever is read. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { beforeEach, expect, test } from "vitest";
import { blobOf, holds, repository } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";
import { useCachedStage } from "./blobs/cached-stage.ts";
import { ask, startEndpoint } from "./endpoint.ts";
import { type RawUpstream, startUpstream } from "./upstream/raw-upstream.ts";

const stage = useCachedStage();
const layer = blobOf("behind a gate", 100_000);
const type = "application/vnd.oci.image.manifest.v1+json";
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: type,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: `sha256:${"0".repeat(64)}`, size: 2 },
    layers: [{ mediaType: "application/octet-stream", digest: layer.ref.digest, size: layer.bytes.length }],
  }),
);
const [blobPath, tagPath] = [`/v2/${repository}/blobs/${layer.ref.digest}`, `/v2/${repository}/manifests/latest`];

/** Lets in whom it finds; then it is a registry with one image. */
let isLetIn: (request: IncomingMessage) => boolean = () => true;
let upstream: RawUpstream;

beforeEach(async () => {
  isLetIn = () => true;
  upstream = stage.owned.use(await startUpstream((request, response) => answer(request, response)));
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (!isLetIn(request)) return void response.writeHead(403).end("gate");
  const path = request.url!.split("?", 1)[0]!;
  const isBlob = path.endsWith(layer.ref.digest);
  if (!isBlob && !path.includes("/manifests/")) return void response.writeHead(404).end("{}");
  const bytes = isBlob ? layer.bytes : manifest;
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const body = bytes.subarray(Number(start ?? 0));
  response.writeHead(start === undefined ? 200 : 206, {
    "content-type": isBlob ? "application/octet-stream" : type,
    "content-length": body.length,
    "docker-content-digest": digestOf(bytes),
    ...(start !== undefined && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

const gates: [string, (request: IncomingMessage) => boolean, string, Record<string, string>][] = [
  ["a header of its own", ({ headers }) => headers["x-access-client"] === "abc", "", { "X-Access-Client": "abc" }],
  ["a cookie", ({ headers }) => headers.cookie === "gate=1; b=2", "", { cookie: "gate=1; b=2" }],
  ["a query parameter", ({ url }) => /\?gate=a%2Fb$/.test(url!), "?gate=a%2Fb", {}],
  ["a query parameter beside ns", ({ url }) => /\?gate=1$/.test(url!), "?ns=127.0.0.1&gate=1", {}],
  ["its program", ({ headers }) => headers["user-agent"] === "containerd/2", "", { "user-agent": "containerd/2" }],
];
const reads: [string, string, Record<string, string>][] = [
  ["GET", tagPath, {}],
  ["HEAD", tagPath, {}],
  ["GET", blobPath, {}],
  ["HEAD", blobPath, {}],
  ["GET", blobPath, { range: "bytes=70-" }],
  ["HEAD", blobPath, { "if-none-match": '"other"' }],
];

test.each(gates)("%s reaches the upstream with every read", async (_what, lets, query, says) => {
  isLetIn = lets;
  const asked = query.replace("ns=127.0.0.1", `ns=${upstream.url.host}`);
  const stored = await stage.start(upstream.url);
  await using passing = await startEndpoint(upstream.url, undefined, { authorize: "none" });
  for (const endpoint of [stored, passing]) {
    for (const [method, path, headers] of reads) {
      const { status } = await ask(endpoint.url, path + asked, { method, headers: { ...says, ...headers } });
      expect([method, path, status]).toEqual([method, path, headers.range ? 206 : 200]);
      const refused = await ask(endpoint.url, path, { method, headers });
      const isSharedWithAll = endpoint === passing || "user-agent" in says;
      if (!isSharedWithAll) expect([method, path, refused.status]).toEqual([method, path, 403]);
    }
  }
});

test.each(gates)(
  "what is cached, or on NDN, is only for those who are let in by %s",
  async (what, lets, query, says) => {
    if (what === "its program") return; // everyone can say that
    isLetIn = lets;
    const endpoint = await stage.start(upstream.url, holds(layer));
    const asked = query.replace("ns=127.0.0.1", `ns=${upstream.url.host}`);
    const mine = { authorization: "Bearer of both" };
    const first = await ask(endpoint.url, blobPath + asked, { headers: { ...mine, ...says } });
    expect([first.status, first.headers["x-blob-source"]]).toEqual([200, "ndn"]);
    await until("the blob to be cached", () => endpoint.store.has(layer.ref.digest));
    await ask(endpoint.url, tagPath + asked, { headers: { ...mine, ...says } });
    for (const path of [blobPath, tagPath, `/v2/${repository}/manifests/${digestOf(manifest)}`]) {
      const { status, body } = await ask(endpoint.url, path, { headers: mine });
      expect([path, status, body.toString()]).toEqual([path, 403, "gate"]);
    }
  },
);

test("what says nothing of who asks makes no other puller: one right, one question", async () => {
  const endpoint = await stage.start(upstream.url, holds(layer));
  const heads = () => upstream.seen.filter(({ method }) => method === "HEAD").length;
  await ask(endpoint.url, blobPath);
  await until("the blob to be cached", () => endpoint.store.has(layer.ref.digest));
  const before = heads();
  for (const [name, value] of Object.entries({
    accept: "application/json",
    "accept-language": "de",
    "user-agent": "skopeo/1",
    "docker-distribution-api-version": "registry/2.0",
    "cache-control": "no-cache",
    via: "1.1 proxy",
    "x-forwarded-for": "10.0.0.1",
    traceparent: "00-1-1-00",
    baggage: "a=b",
    "x-request-id": "17",
  })) {
    const { status, headers } = await ask(endpoint.url, blobPath, { headers: { [name]: value } });
    expect([name, status, headers["x-blob-source"]]).toEqual([name, 200, "store"]);
  }
  expect(heads()).toBe(before);
});

test("layers are fetched ahead with what their puller says, but for what it takes of manifests", async () => {
  isLetIn = ({ headers, url }) => headers.cookie === "gate=1" && url!.endsWith("?a=1");
  const endpoint = await stage.start(upstream.url, undefined, { prefetch: true });
  await ask(endpoint.url, `${tagPath}?a=1`, { headers: { cookie: "gate=1", accept: type } });
  await until("the layer", () => endpoint.store.has(layer.ref.digest));
  const ofLayer = upstream.seen.filter(({ url }) => url!.startsWith(blobPath));
  expect(ofLayer.map(({ headers }) => headers.accept)).not.toContain(type);
});

test("a blob is asked for without a coding and, as a whole, without what one puller has or wants of it", async () => {
  const endpoint = await stage.start(upstream.url);
  const headers = { "accept-encoding": "gzip", range: "bytes=0-", "content-type": "text/plain", te: "trailers" };
  expect((await ask(endpoint.url, blobPath, { headers })).status).toBe(206);
  for (const { headers } of upstream.seen) {
    expect(headers["accept-encoding"]).toBe("identity");
    expect([headers.range, headers["content-type"], headers.te]).toEqual([undefined, undefined, undefined]);
  }
});
