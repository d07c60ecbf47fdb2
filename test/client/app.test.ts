import { once } from "node:events";
import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, repository, stalls } from "#test/blob/faulty-sources.ts";
import { startRegistry } from "#test/support/registry.ts";
import { ask, begin, startEndpoint } from "./endpoint.ts";
import { startUpstream } from "./upstream/raw-upstream.ts";

test("another registry in ns is unknown before any work, another spelling of the upstream is not", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  await using endpoint = await startEndpoint(upstream.url);
  const { status, body } = await ask(endpoint.url, "/v2/a/manifests/b?ns=ghcr.example");
  expect(status).toBe(404);
  expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: "NAME_UNKNOWN" }] });
  expect(upstream.seen).toEqual([]);
  expect((await ask(endpoint.url, `/v2/a/manifests/b?ns=${upstream.url.host.toUpperCase()}`)).status).toBe(200);
});

test("paths outside /v2/ are unknown, as JSON", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  await using endpoint = await startEndpoint(upstream.url);
  for (const path of ["/v1/_ping", "/-/other", "/v2x", "/%zz", "/v22/"]) {
    const { status, body } = await ask(endpoint.url, path);
    expect([path, status]).toEqual([path, 404]);
    expect(JSON.parse(body.toString())).toHaveProperty("errors");
  }
  const post = await ask(endpoint.url, "/other", { method: "POST", body: Buffer.from("x") });
  expect(post.status).toBe(404);
});

test("/v2 without a slash is the registry's to answer", async () => {
  await using upstream = await startUpstream((_, response) => response.writeHead(301, { location: "/v2/" }).end());
  await using endpoint = await startEndpoint(upstream.url);
  expect(await ask(endpoint.url, "/v2")).toMatchObject({ status: 301, headers: { location: "/v2/" } });
});

test("the registry that has answered is named to containerd", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  await using endpoint = await startEndpoint(upstream.url);
  expect((await ask(endpoint.url, "/v2/")).headers).toMatchObject({ "oci-namespace": upstream.url.host });
});

test("readiness names what is missing, and fails only when nothing can be served", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  let state = { ready: true, missing: ["NDN uplink"] };
  await using endpoint = await startEndpoint(upstream.url, undefined, { readiness: () => state });
  expect((await ask(endpoint.url, "/healthz")).status).toBe(200);
  const partly = await ask(endpoint.url, "/readyz");
  expect(partly.status).toBe(200);
  expect(JSON.parse(partly.body.toString())).toEqual(state);
  state = { ready: false, missing: ["NDN uplink", "upstream registry"] };
  expect((await ask(endpoint.url, "/readyz")).status).toBe(503);
});

test.each(["/", "/?a=b", "/healthz", "/readyz", "/metrics", "/-/main.js", "/-/status.json"])(
  "HEAD of %s is GET without the body",
  async (path) => {
    await using upstream = await startUpstream((_, response) => response.end("{}"));
    await using endpoint = await startEndpoint(upstream.url);
    const [got, head] = [await ask(endpoint.url, path), await ask(endpoint.url, path, { method: "HEAD" })];
    expect([head.status, head.body.length, head.headers["content-type"]]).toEqual([
      200,
      0,
      got.headers["content-type"],
    ]);
    expect(Object.keys(head.headers).toSorted()).toEqual(Object.keys(got.headers).toSorted());
    expect(upstream.seen.filter(({ url }) => url === path)).toEqual([]);
  },
);

test("HEAD of /readyz fails as GET does, and HEAD of what is not there is 404 without a body", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  const readiness = () => ({ ready: false, missing: ["upstream registry"] });
  await using endpoint = await startEndpoint(upstream.url, undefined, { readiness });
  expect(await ask(endpoint.url, "/readyz", { method: "HEAD" })).toMatchObject({ status: 503, body: Buffer.alloc(0) });
  expect(await ask(endpoint.url, "/other", { method: "HEAD" })).toMatchObject({ status: 404, body: Buffer.alloc(0) });
});

test("a shutdown waits no longer than it is told", async () => {
  const registry = await startRegistry();
  const blob = blobOf("big", collectBytes + 1);
  registry.addBlob(repository, blob.bytes);
  await using endpoint = await startEndpoint(registry.url, stalls(300_000, blob));
  const answer = await begin(endpoint.url, `/v2/${repository}/blobs/${blob.ref.digest}`);
  await once(answer, "data");
  const broken = once(answer.resume(), "error");
  await endpoint.client.close(50);
  await broken;
  await registry.close();
});

test("redirects of blobs are followed here, for whole blobs, ranges and HEAD", async () => {
  const registry = await startRegistry({ redirectBlobs: true });
  const { ref, bytes } = blobOf("redirected", 100_000);
  registry.addBlob(repository, bytes);
  await using endpoint = await startEndpoint(registry.url);
  const path = `/v2/${repository}/blobs/${ref.digest}`;
  const authorization = "Bearer of-the-puller";
  expect((await ask(endpoint.url, path, { headers: { authorization } })).body.equals(bytes)).toBe(true);
  const part = await ask(endpoint.url, path, { headers: { authorization, range: "bytes=5-9" } });
  expect([part.status, part.body.equals(bytes.subarray(5, 10))]).toEqual([206, true]);
  const head = await ask(endpoint.url, path, { method: "HEAD" });
  expect([head.status, head.headers["docker-content-digest"]]).toEqual([200, ref.digest]);
  expect(registry.requests[0]!.headers.authorization).toBe(authorization);
  expect(registry.cdnRequests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  await registry.close();
});
