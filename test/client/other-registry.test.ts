/** One endpoint for a registry that is open to all and a private one: what is cached of one is not the other's. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BlobSource } from "#blob/source.ts";
import type { Mirror } from "#client/mirror.ts";
import { type Authorize, singleRegistry } from "#client/registries/client-config.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { blobOf, breaksAfter, holds, repository, stalls, wrongBytes } from "#test/blob/faulty-sources.ts";
import { type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { type HoldingEndpoint, useCachedStage } from "./blobs/cached-stage.ts";
import { ask, begin } from "./endpoint.ts";

const stage = useCachedStage();
const secret = blobOf("private layer", 12_000_000);
const { digest } = secret.ref;
const [closed, open] = ["private.example", "lab.example"];
const reader = { headers: { authorization: `Basic ${Buffer.from("reader:secret").toString("base64")}` } };
const inClosed = `/v2/${repository}/blobs/${digest}`;
const inOpen = `/v2/${open}/x/blobs/${digest}`;
let [closedRegistry, openRegistry, image]: [TestRegistry, TestRegistry, ImageDigests] = [] as never;

beforeEach(async () => {
  [closedRegistry, openRegistry] = await Promise.all([
    startRegistry({ auth: { kind: "basic", users: { reader: "secret" }, anonymous: false } }),
    startRegistry(),
  ]);
  image = closedRegistry.addImage(repository, "latest", [secret.bytes]);
});
afterEach(() => Promise.all([closedRegistry.close(), openRegistry.close()]));

interface Sources {
  readonly ofClosed?: BlobSource;
  readonly ofOpen?: BlobSource;
}

/** The closed registry is the default one, with rights; the open one has `authorize: none`. */
function start({ ofClosed, ofOpen }: Sources = {}): Promise<HoldingEndpoint> {
  const mirrors = new Map([
    [closed, mirrorOf(closed, closedRegistry.url, "upstream", ofClosed)],
    [open, mirrorOf(open, openRegistry.url, "none", ofOpen)],
  ]);
  return stage.start(closedRegistry.url, undefined, { mirrors, defaultRegistry: closed, hedge: "off" });
}

function mirrorOf(name: string, upstream: URL, authorize: Authorize, source: BlobSource | undefined): Mirror {
  const registry = new RegistryClient({ base: upstream });
  stage.owned.defer(() => registry.close());
  const config = { ...singleRegistry({ upstream, authorize }).registries.values().next().value!, registry: name };
  const paths = () => ({ first: source ? [source] : [], lastResort: undefined });
  return { config, registry, ndn: { paths } };
}

/** What a puller of the open registry gets, from where. */
async function openAnswer({ url }: HoldingEndpoint, path = inOpen) {
  const { status, headers, body } = await ask(url, path);
  return { status, source: headers["x-blob-source"], isSecret: body.equals(secret.bytes) };
}

describe("what is cached because of a private registry", () => {
  test.each<[string, Record<string, string>]>([
    ["whole", {}],
    ["a range", { range: "bytes=0-99" }],
    ["all of it as a range", { range: "bytes=0-" }],
  ])("is not served in the name of an open one that does not have it: %s", async (_, headers) => {
    await using endpoint = await start();
    expect((await ask(endpoint.url, inClosed, reader)).status).toBe(200);
    await until("the blob to be cached", () => endpoint.store.has(digest));
    const through = await ask(endpoint.url, inOpen, { headers });
    expect(through.status).toBe(404);
    const straight = await ask(openRegistry.url, `/v2/x/blobs/${digest}`, { headers });
    expect(through.body.toString()).toBe(straight.body.toString());
  });

  test("is not told of to a HEAD while the open one is down", async () => {
    await using endpoint = await start();
    expect((await ask(endpoint.url, inClosed, reader)).status).toBe(200);
    await openRegistry.close();
    openRegistry = await startRegistry(); // for afterEach; the client knows another address
    expect((await ask(endpoint.url, inOpen, { method: "HEAD" })).status).toBe(503);
  });

  test("is not served as a blob when it is a manifest", async () => {
    await using endpoint = await start();
    expect((await ask(endpoint.url, `/v2/${repository}/manifests/latest`, reader)).status).toBe(200);
    await until("the manifest to be cached", () => endpoint.store.has(image.manifest));
    expect((await ask(endpoint.url, `/v2/${open}/x/blobs/${image.manifest}`)).status).toBe(404);
  });

  test("is not served on the word of an NDN that lies", async () => {
    await using endpoint = await start({ ofOpen: wrongBytes(secret) });
    await ask(endpoint.url, inClosed, reader);
    expect(await openAnswer(endpoint).catch(() => "broken off")).toBe("broken off");
    expect((await openAnswer(endpoint)).status).toBe(404);
  });

  test("is still served to its own pullers from disk", async () => {
    await using endpoint = await start();
    await ask(endpoint.url, inClosed, reader);
    expect((await ask(endpoint.url, inClosed, reader)).headers["x-blob-source"]).toBe("store");
  });
});

test("a fetch that runs for a private registry is not followed by pullers of an open one", async () => {
  await using endpoint = await start({ ofClosed: stalls(9_000_000, secret) });
  const leader = ask(endpoint.url, inClosed, reader).catch(() => "broken off");
  await until("the fetch", () => endpoint.store.usedBytes > 0);
  expect((await ask(endpoint.url, inOpen)).status).toBe(404);
  openRegistry.addBlob("x", secret.bytes);
  expect(await openAnswer(endpoint)).toEqual({ status: 200, source: "upstream", isSecret: true });
  await endpoint[Symbol.asyncDispose]();
  await leader;
});

test("what a broken-off fetch of a private registry left is not served in the name of an open one", async () => {
  const ofClosed = breaksAfter(9_000_000, secret);
  closedRegistry.fault = { kind: "status", status: 503 };
  const first = await start({ ofClosed });
  await expect(ask(first.url, inClosed, reader)).rejects.toThrow();
  await until("the partial", () => (first.store.partial(digest)?.writtenBytes ?? 0) > 0);
  expect((await ask(first.url, inOpen)).status).toBe(404);
  await first[Symbol.asyncDispose]();

  await using again = await start();
  expect(again.store.partial(digest)).toBeDefined();
  expect((await ask(again.url, inOpen)).status).toBe(404);
  closedRegistry.fault = undefined;
  expect((await ask(again.url, inClosed, reader)).body.equals(secret.bytes)).toBe(true);
});

describe("what an open registry has served as well", () => {
  const fromStore = { status: 200, source: "store", isSecret: true };

  test.each([
    ["its upstream", undefined, "upstream"],
    ["NDN", holds(secret), "ndn"],
  ])("by %s is served from disk, in all of its repositories, offline, and after a restart", async (_, ndn, source) => {
    if (!ndn) openRegistry.addBlob("x", secret.bytes);
    const first = await start(ndn && { ofOpen: ndn });
    await ask(first.url, inClosed, reader);
    expect(await openAnswer(first)).toEqual({ status: 200, source, isSecret: true });
    expect(await openAnswer(first)).toEqual(fromStore);
    await first[Symbol.asyncDispose]();
    await openRegistry.close();

    await using again = await start();
    expect(await openAnswer(again)).toEqual(fromStore);
    expect(await openAnswer(again, inOpen.replace("/x/", "/y/"))).toEqual(fromStore);
  });

  test("is gone on with where it broke off", async () => {
    const ofOpen = breaksAfter(9_000_000, secret);
    await using endpoint = await start({ ofOpen });
    await expect(ask(endpoint.url, inOpen)).rejects.toThrow();
    await until("the partial", () => (endpoint.store.partial(digest)?.writtenBytes ?? 0) > 0);
    const { writtenBytes } = endpoint.store.partial(digest)!;
    openRegistry.addBlob("x", secret.bytes);
    expect(await openAnswer(endpoint)).toMatchObject({ status: 200, isSecret: true });
    expect(ofOpen.openedAt).toEqual([0, writtenBytes]);
  });
});

test("pullers of one open registry follow each other's fetch", async () => {
  await using endpoint = await start();
  openRegistry.addBlob("x", secret.bytes);
  openRegistry.fault = { kind: "slow", bytesPerSecond: 20_000_000 };
  const first = await begin(endpoint.url, inOpen);
  expect((await ask(endpoint.url, inOpen)).body.equals(secret.bytes)).toBe(true);
  first.destroy();
  expect(openRegistry.blobGets(digest)).toHaveLength(1);
});

test("with a single registry all that is cached is served under authorize none, also when nobody remembers why", async () => {
  openRegistry.addBlob("x", secret.bytes);
  const path = `/v2/x/blobs/${digest}`;
  const first = await stage.start(openRegistry.url);
  expect((await ask(first.url, path)).status).toBe(200);
  await first[Symbol.asyncDispose]();
  const { host } = openRegistry.url;
  await rm(join(stage.directory, `rights-${host.replaceAll(":", "_")}.json`));
  await openRegistry.close();
  await using again = await stage.start(openRegistry.url, undefined, { authorize: "none" });
  for (const headers of [{}, { range: "bytes=0-99" }]) {
    const { status, headers: answered } = await ask(again.url, path, { headers });
    expect([status < 300, answered["x-blob-source"]]).toEqual([true, "store"]);
  }
});
