/** Docker-Content-Digest is optional, and some proxies strip it: what a manifest is, its bytes say. */
import { expect, test } from "vitest";
import type { Digest } from "#oci/reference.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { type RawUpstream, startUpstream } from "../upstream/raw-upstream.ts";
import { ask } from "./ask.ts";
import { type ManifestEndpoint, startManifestEndpoint } from "./manifest-endpoint.ts";
import { byDigest, byTag, docker, key, oci, useManifestStage } from "./manifest-stage.ts";

const stage = useManifestStage();
const index = "application/vnd.oci.image.index.v1+json";
const signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/** A registry with one manifest by every name. */
async function start(
  bytes: Buffer,
  headers: Record<string, string>,
  isChunked = false,
): Promise<{ upstream: RawUpstream; endpoint: ManifestEndpoint; asked: () => string[] }> {
  const upstream = stage.owned.use(
    await startUpstream(({ method }, response) => {
      response.writeHead(200, { ...headers, ...(!isChunked && { "content-length": bytes.length }) });
      if (method === "GET") response.write(bytes);
      response.end();
    }),
  );
  const endpoint = stage.owned.use(await startManifestEndpoint(upstream.url, { offline: "known-pullers" }));
  return { upstream, endpoint, asked: () => upstream.seen.map(({ method }) => method!) };
}

test.each([
  ["an OCI manifest", oci, false],
  ["an OCI manifest without a length", oci, true],
  ["a Docker manifest", docker, false],
  ["an index", `${index}; charset=utf-8`, false],
])("%s that is not named by its digest is remembered under it, with its tag", async (_what, type, isChunked) => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type }));
  const digest = digestOf(bytes) as Digest;
  const { upstream, endpoint } = await start(bytes, { "content-type": type }, isChunked);
  const first = await ask(endpoint.url, byTag);
  expect([first.status, first.headers["docker-content-digest"]]).toEqual([200, undefined]);
  expect(endpoint.cache.byTag(key, "latest")?.digest).toBe(digest);
  expect(endpoint.served).toMatchObject([{ digest, by: "upstream" }]);
  await upstream[Symbol.asyncDispose]();
  for (const path of [byTag, byDigest(digest)]) {
    const { status, headers, body } = await ask(endpoint.url, path);
    expect([status, headers["content-type"], headers["docker-content-digest"]]).toEqual([200, type, digest]);
    expect(body).toEqual(bytes);
  }
});

test("one that is asked for by digest is fetched once", async () => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  const { endpoint, asked } = await start(bytes, { "content-type": oci });
  for (const source of ["upstream", "store", "store"]) {
    const { headers, body } = await ask(endpoint.url, byDigest(digestOf(bytes)));
    expect([headers["x-blob-source"], body]).toEqual([source, bytes]);
  }
  expect(asked()).toEqual(["GET", "HEAD", "HEAD"]);
});

test("a tag that is not named by its digest may have moved on, and is fetched each time", async () => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  const { endpoint, asked } = await start(bytes, { "content-type": oci });
  await ask(endpoint.url, byTag);
  await ask(endpoint.url, byTag);
  expect(asked()).toEqual(["HEAD", "GET", "HEAD", "GET"]);
});

test.each([
  ["a page", { "content-type": "text/html" }],
  ["what has no media type", {}],
  ["JSON of any kind", { "content-type": "application/json" }],
  [
    "what has a digest of another algorithm",
    { "content-type": oci, "docker-content-digest": `sha512:${"0".repeat(128)}` },
  ],
  ["what is encoded", { "content-type": oci, "content-encoding": "gzip" }],
])("%s is passed, and grants and changes nothing", async (_what, headers: Record<string, string>) => {
  const { endpoint } = await start(Buffer.from('{"schemaVersion":2}'), headers);
  expect((await ask(endpoint.url, byTag)).status).toBe(200);
  expect(endpoint.cache.digestsOf(key, "latest")).toEqual([]);
  expect([endpoint.served, endpoint.rights.isKnown(undefined)]).toEqual([[], false]);
});

test("a page in the registry's place grants no manifest that is cached and asked for by digest", async () => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  const { endpoint } = await start(bytes, { "content-type": oci });
  await ask(endpoint.url, byDigest(digestOf(bytes)));
  const portal = await startUpstream((_, response) => void response.end("<p>please pay</p>"));
  stage.owned.use(portal);
  const { cache, services } = endpoint;
  const options = { cache, contents: services.contents, offline: "known-pullers" } as const;
  const behind = stage.owned.use(await startManifestEndpoint(portal.url, options));
  expect((await ask(behind.url, byDigest(digestOf(bytes)))).body.toString()).toBe("<p>please pay</p>");
  expect(behind.rights.isKnown(undefined)).toBe(false);
});

// A signed manifest of schema 1: its digest is that of the payload, which has no signatures.
test.each([signed, "application/vnd.docker.distribution.manifest.v1+json", "application/json"])(
  "the signatures of a schema 1 manifest are not another digest (%s)",
  async (type) => {
    const payload = '{"schemaVersion": 1, "name": "team/app", "fsLayers": []';
    const bytes = Buffer.from(`${payload}, "signatures": [{}]}`);
    const digest = digestOf(Buffer.from(`${payload}}`));
    const { endpoint } = await start(bytes, { "content-type": type, "docker-content-digest": digest });
    for (const path of [byTag, byDigest(digest)]) {
      const { status, body } = await ask(endpoint.url, path);
      expect([status, body]).toEqual([200, bytes]);
    }
    expect(endpoint.logs).toEqual([]);
    expect(endpoint.cache.byTag(key, "latest")).toBeUndefined();
  },
);

test("without a digest a schema 1 manifest is not remembered under that of its signed form", async () => {
  const bytes = Buffer.from('{"schemaVersion": 1, "signatures": [{}]}');
  const { endpoint } = await start(bytes, { "content-type": signed });
  expect((await ask(endpoint.url, byTag)).status).toBe(200);
  expect(endpoint.cache.digestsOf(key, "latest")).toEqual([]);
});
