import { describe, expect, test } from "vitest";
import { until } from "#test/support/until.ts";
import { ask } from "../endpoint.ts";
import { digestOfBytes, ociIndex, ociManifest } from "./signing-server.ts";
import { manifest, repository, usePointerStage } from "./stage.ts";

const stage = usePointerStage();
const byTag = `/v2/${repository}/manifests/latest`;

test("a ping is answered without a registry over HTTPS", async () => {
  const { url } = await stage.start();
  expect(await ask(url, "/v2/")).toMatchObject({ status: 200 });
  expect(await ask(url, "/v2/", { method: "HEAD" })).toMatchObject({ status: 200, body: Buffer.alloc(0) });
});

describe.each([
  ["comes with its pointer", 4096],
  ["is an object of its own", 0],
])("a manifest that %s", (_how, inlineUpTo) => {
  test.each(["GET", "HEAD"])("is answered to a %s by tag and by digest", async (method) => {
    stage.server.inlineUpTo = inlineUpTo;
    const digest = stage.server.saysTag(repository, "latest", manifest);
    const { url } = await stage.start();
    for (const path of [`/v2/${repository}/manifests/${digest}`, byTag]) {
      const { status, headers, body } = await ask(url, path, { method });
      expect([status, headers["docker-content-digest"], headers["content-type"]]).toEqual([200, digest, ociManifest]);
      expect([headers["content-length"], headers.etag]).toEqual([String(manifest.length), `"${digest}"`]);
      expect(body).toEqual(method === "HEAD" ? Buffer.alloc(0) : manifest);
      expect(headers["x-manifest-source"]).toMatch(/ndn|store/);
    }
  });
});

test("a manifest of many segments comes whole, and its digest is checked", async () => {
  const large = Buffer.alloc(1_000_000, "x");
  stage.server.saysTag(repository, "latest", large);
  const { url } = await stage.start();
  expect((await ask(url, byTag)).body.equals(large)).toBe(true);
});

test("a manifest that is an object of its own takes two round trips: its segments and their digests are asked for together", async () => {
  const { server } = stage;
  server.saysTag(repository, "latest", manifest);
  // Each is answered only when the other one has been asked for.
  server.gate = async (kind) => {
    const other = { segment: "digests", digests: "segment" }[kind];
    if (other) await until(`an Interest for ${other}`, () => server.asked.includes(other));
  };
  const { url } = await stage.start();
  expect((await ask(url, byTag)).body).toEqual(manifest);
});

test("what an index lists needs no pointer of its own", async () => {
  const digest = stage.server.has(manifest);
  const child = {
    mediaType: ociManifest,
    digest,
    size: manifest.length,
    platform: { os: "linux", architecture: "arm64" },
  };
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [child] }));
  stage.server.saysTag(repository, "latest", index, ociIndex);
  const { url } = await stage.start();
  await ask(url, byTag);
  expect((await ask(url, `/v2/${repository}/manifests/${digest}`)).body).toEqual(manifest);
  expect(stage.server.asked).not.toContain("manifest");
});

test("what an index lists and the registry does not have is 404", async () => {
  const digest = digestOfBytes(manifest);
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ mediaType: ociManifest, digest, size: 100 }],
    }),
  );
  stage.server.saysTag(repository, "latest", index, ociIndex);
  stage.server.says({ kind: "manifest", repository, digest }, "absent");
  const { url } = await stage.start();
  await ask(url, byTag);
  for (const method of ["HEAD", "GET"])
    expect((await ask(url, `/v2/${repository}/manifests/${digest}`, { method })).status).toBe(404);
}, 30_000);

test.each([
  ["a tag that the server says is not there", `${byTag}-none`, {}],
  ["a type that Accept does not admit", byTag, { accept: ociIndex }],
  ["a digest of another algorithm", `/v2/${repository}/manifests/sha512:${"0".repeat(128)}`, {}],
])("%s is 404 MANIFEST_UNKNOWN", async (_what, path, headers) => {
  stage.server.saysTag(repository, "latest", manifest);
  stage.server.says({ kind: "tag", repository, tag: "latest-none" }, "absent");
  const { url } = await stage.start();
  const answer = await ask(url, path, { headers });
  expect([answer.status, JSON.parse(answer.body.toString())]).toMatchObject([
    404,
    { errors: [{ code: "MANIFEST_UNKNOWN" }] },
  ]);
});

test("a manifest that the puller has is 304", async () => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { url } = await stage.start();
  const answer = await ask(url, byTag, { headers: { "if-none-match": `"${digest}"` } });
  expect([answer.status, answer.body.length]).toEqual([304, 0]);
});

test.each([
  ["PUT", byTag],
  ["DELETE", byTag],
  ["POST", `/v2/${repository}/blobs/uploads/`],
  ["PATCH", `/v2/${repository}/blobs/uploads/1`],
  ["DELETE", `/v2/${repository}/blobs/sha256:${"0".repeat(64)}`],
])("%s of %s is refused at once, with the reason", async (method, path) => {
  const { url } = await stage.start();
  await ask(url, "/v2/");
  const beganMs = performance.now();
  const answer = await ask(url, path, { method, ...(method !== "DELETE" && { body: Buffer.alloc(100_000) }) });
  expect(performance.now() - beganMs).toBeLessThan(1_000);
  expect([answer.status, answer.headers.allow]).toEqual([405, "GET, HEAD"]);
  expect(JSON.parse(answer.body.toString())).toMatchObject({
    errors: [{ code: "UNSUPPORTED", message: expect.stringContaining("--upstream none") as string }],
  });
});

test("blobs come over NDN, whole, in parts and by HEAD; what is not published is 404", async () => {
  const blob = Buffer.alloc(100_000, "blob");
  const digest = stage.server.publishes(repository, blob);
  const { url } = await stage.start();
  const path = `/v2/${repository}/blobs/${digest}`;
  expect((await ask(url, path)).body.equals(blob)).toBe(true);
  expect(await ask(url, path, { method: "HEAD" })).toMatchObject({
    status: 200,
    headers: { "content-length": "100000" },
  });
  const part = await ask(url, path, { headers: { range: "bytes=10-19" } });
  expect([part.status, part.body]).toEqual([206, blob.subarray(10, 20)]);
  const beyond = await ask(url, path, { headers: { range: "bytes=5-3" } });
  expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, "bytes */100000"]);
  for (const other of [`sha256:${"0".repeat(64)}`, `sha512:${"0".repeat(128)}`]) {
    for (const method of ["GET", "HEAD"])
      expect(await ask(url, `/v2/${repository}/blobs/${other}`, { method })).toMatchObject({ status: 404 });
  }
});
