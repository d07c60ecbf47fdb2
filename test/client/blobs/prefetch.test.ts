import { afterEach, beforeEach, expect, test } from "vitest";
import { repository } from "#test/blob/faulty-sources.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { ask } from "../endpoint.ts";
import { authorizationFor } from "../registry-login.ts";
import { type HoldingEndpoint, useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const byTag = `/v2/${repository}/manifests/latest`;
const layers = ["one", "two", "three"].map((seed) => randomBytesOf(`ahead ${seed}`, 200_000));
let [registry, image]: [TestRegistry, ImageDigests] = [] as never;

beforeEach(async () => {
  registry = await startRegistry({ auth: { users: { reader: "secret" }, privateRepositories: ["team/private"] } });
  image = registry.addImage(repository, "latest", layers);
});
afterEach(() => registry.close());

const blobsOf = ({ config, layers }: ImageDigests) => [config, ...layers];
const areCached = ({ store }: HoldingEndpoint, of = image) => blobsOf(of).every((digest) => store.has(digest));

test("what a manifest names is in the store though nobody has asked for it", async () => {
  await using endpoint = await stage.start(registry.url, undefined, { prefetch: true });
  await ask(endpoint.url, byTag);
  await until("the layers", () => areCached(endpoint));
  for (const digest of image.layers) {
    const { headers } = await ask(endpoint.url, `/v2/${repository}/blobs/${digest}`);
    expect(headers["x-blob-source"]).toBe("store");
    expect(registry.blobGets(digest)).toHaveLength(1);
  }
});

test("is off unless it is wanted", async () => {
  await using endpoint = await stage.start(registry.url);
  await ask(endpoint.url, byTag);
  await ask(endpoint.url, byTag); // by now it would have begun
  expect(registry.requests.filter(({ url }) => url.includes("/blobs/"))).toEqual([]);
});

test("a HEAD of a manifest fetches nothing", async () => {
  await using endpoint = await stage.start(registry.url, undefined, { prefetch: true });
  await ask(endpoint.url, byTag, { method: "HEAD" });
  await ask(endpoint.url, byTag, { method: "HEAD" });
  expect(registry.requests.filter(({ url }) => url.includes("/blobs/"))).toEqual([]);
});

test("an image that needs a login is fetched with the rights of the puller of its manifest", async () => {
  const secret = registry.addImage("team/private", "latest", layers.slice(0, 1));
  await using endpoint = await stage.start(registry.url, undefined, { prefetch: true });
  const path = "/v2/team/private/manifests/latest";
  expect((await ask(endpoint.url, path)).status).toBe(401);
  const authorization = await authorizationFor(registry.url, path, "bearer");
  await ask(endpoint.url, path, { headers: { authorization } });
  await until("the layers", () => areCached(endpoint, secret));
  const blob = `/v2/team/private/blobs/${secret.layers[0]}`;
  expect((await ask(endpoint.url, blob)).status).toBe(401);
  const { headers } = await ask(endpoint.url, blob, { headers: { authorization } });
  expect(headers["x-blob-source"]).toBe("store");
});

test("a puller that asks while a layer is fetched ahead follows that fetch", async () => {
  registry.fault = { kind: "slow", bytesPerSecond: 400_000 };
  await using endpoint = await stage.start(registry.url, undefined, { prefetch: true });
  await ask(endpoint.url, byTag);
  const [digest] = image.layers;
  await until("the fetch", () => registry.blobGets(digest!).length > 0);
  const { status, body } = await ask(endpoint.url, `/v2/${repository}/blobs/${digest}`);
  expect([status, body.equals(layers[0]!)]).toEqual([200, true]);
  expect(registry.blobGets(digest!)).toHaveLength(1);
});

test("an endpoint that ends breaks off what it fetches ahead", async () => {
  registry.fault = { kind: "slow", bytesPerSecond: 10_000 };
  await using endpoint = await stage.start(registry.url, undefined, { prefetch: true });
  await ask(endpoint.url, byTag);
  await until("the fetch", () => registry.bytesSent > 0);
  const begin = performance.now();
  await endpoint[Symbol.asyncDispose]();
  expect(performance.now() - begin).toBeLessThan(5_000);
});
