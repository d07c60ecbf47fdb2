import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, type Endpoint, startEndpoint } from "#test/client/endpoint.ts";
import { pushBlob, pushManifest } from "#test/support/oci-push.ts";
import { type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";

const repository = "team/app";
const type = "application/vnd.oci.image.manifest.v1+json";
let [registry, image, endpoint]: [TestRegistry, ImageDigests, Endpoint] = [] as never;

beforeEach(async () => {
  registry = await startRegistry();
  image = registry.addImage(repository, "1.0", [Buffer.from("layer")]);
  endpoint = await startEndpoint(registry.url);
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await registry.close();
});

const linesWith = (msg: string) => endpoint.logs.filter((line) => line.msg === msg);

async function lineWith(msg: string) {
  await until(`the line "${msg}"`, () => linesWith(msg).length > 0);
  expect(linesWith(msg)).toHaveLength(1);
  return linesWith(msg)[0];
}

async function pull(blobs: readonly string[]) {
  await ask(endpoint.url, `/v2/${repository}/manifests/1.0`, { method: "HEAD", headers: { accept: type } });
  await ask(endpoint.url, `/v2/${repository}/manifests/1.0`, { headers: { accept: type } });
  for (const digest of blobs) await ask(endpoint.url, `/v2/${repository}/blobs/${digest}`);
}

test("a pull has one line: the image, bytes by source, time, and why NDN brought nothing", async () => {
  await pull([image.config, ...image.layers]);
  expect(await lineWith("image pulled")).toMatchObject({
    level: 30,
    image: `${registry.host}/${repository}:1.0`,
    client: "127.0.0.1",
    outcome: "complete",
    bytes: { upstream: expect.any(Number) },
    blobs: 1 + image.layers.length,
    ms: expect.any(Number),
    manifestFrom: "upstream",
    whyNotNdn: "uplink unix:///test is down",
  });
  expect(linesWith("blob served")).toHaveLength(1 + image.layers.length);
});

test("a stopping endpoint tells what was pulled last", async () => {
  await pull([image.config]);
  await endpoint.client.close(0);
  expect(linesWith("image pulled")).toMatchObject([{ image: `${registry.host}/${repository}:1.0`, blobs: 1 }]);
});

test("a refused pull has one line, with the reason", async () => {
  await ask(endpoint.url, "/v2/not/there/manifests/1", { method: "HEAD" });
  await ask(endpoint.url, "/v2/not/there/manifests/1");
  expect(await lineWith("pull refused")).toMatchObject({
    level: 40,
    image: `${registry.host}/not/there:1`,
    reason: "the registry does not have it, or hides it from this puller",
  });
});

test("a pull of a registry that cannot be reached has failed", async () => {
  await registry.close();
  await ask(endpoint.url, `/v2/${repository}/manifests/1.0`);
  await endpoint.client.close(0);
  expect(linesWith("pull failed")).toMatchObject([
    { level: 40, reason: expect.stringContaining("the registry does not answer") },
  ]);
});

test("a push has one line, and what it asked for first is no pull", async () => {
  const base = endpoint.url.origin;
  await ask(endpoint.url, "/v2/team/new/manifests/2.0", { method: "HEAD" });
  const config = { ...(await pushBlob(base, "team/new", Buffer.from("{}"))), mediaType: "x" };
  const child = { schemaVersion: 2, mediaType: type, config, layers: [] };
  await pushManifest(base, "team/new", (await pushManifest(base, "team/new", "1.9", child)).digest, child);
  await pushManifest(base, "team/new", "2.0", child);
  const images = linesWith("image pushed").map(({ image }) => image);
  expect(images).toEqual([`${registry.host}/team/new:1.9`, `${registry.host}/team/new:2.0`]);
  expect(linesWith("image pushed")[0]).toMatchObject({ level: 30, client: "127.0.0.1", ms: expect.any(Number) });
  await endpoint.client.close(0);
  expect(endpoint.logs.filter(({ msg }) => String(msg).startsWith("pull"))).toEqual([]);
});

test("a push that the registry refuses has one line, with the reason", async () => {
  await ask(endpoint.url, "/v2/team/new/manifests/1", { method: "PUT", body: Buffer.from("no manifest") });
  await ask(endpoint.url, "/v2/team/new/manifests/1", { method: "PUT", body: Buffer.from("no manifest") });
  expect(await lineWith("push refused")).toMatchObject({
    level: 40,
    image: `${registry.host}/team/new:1`,
    reason: "the registry answers 400",
  });
});
