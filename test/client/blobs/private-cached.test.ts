import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blobOf, holds, repository, waitsFor } from "#test/blob/faulty-sources.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { type Answer, ask } from "../endpoint.ts";
import { type AuthKind, authorizationFor, wrongAuthorization } from "../registry-login.ts";
import { rightsAreOldMs, useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const large = blobOf("private and large", 12_000_000);
const ofPublic = "team/public";
let [registry, image]: [TestRegistry, ImageDigests] = [] as never;

const blobPath = `/v2/${repository}/blobs/${large.ref.digest}`;
const byTag = `/v2/${repository}/manifests/latest`;
const byDigest = () => `/v2/${repository}/manifests/${image.manifest}`;

async function startPrivate(kind: AuthKind): Promise<void> {
  registry = await startRegistry({ auth: { kind, users: { reader: "secret" }, privateRepositories: [repository] } });
  image = registry.addImage(repository, "latest", [large.bytes]);
}
afterEach(() => registry.close());

/** With the rights to everything here. */
async function allowed(kind: AuthKind, path = blobPath): Promise<{ headers: { authorization: string } }> {
  return { headers: { authorization: await authorizationFor(registry.url, path, kind) } };
}

/** What must be the same through the endpoint and straight. */
function refusal({ status, headers, body }: Answer) {
  return { status, challenge: headers["www-authenticate"], type: headers["content-type"], body: body.toString() };
}

type Question = { path: string; method?: string; headers?: Record<string, string> };

const questions = (): Question[] => [
  { path: blobPath },
  { path: blobPath, method: "HEAD" },
  { path: blobPath, headers: { range: "bytes=0-99" } },
  { path: blobPath, headers: { range: "bytes=0-" } },
  { path: blobPath, headers: { range: "bytes=-12000000" } },
  { path: blobPath, headers: { "if-none-match": `"${large.ref.digest}"` } },
  { path: blobPath, headers: { "if-match": '"other"' } },
  { path: blobPath, headers: { range: "bytes=12000000-" } },
  { path: byTag },
  { path: byTag, method: "HEAD" },
  { path: byDigest() },
  { path: byDigest(), method: "HEAD" },
  { path: byDigest(), headers: { "if-none-match": `"${image.manifest}"` } },
];

async function expectRefused(url: URL, headers: Record<string, string>): Promise<void> {
  for (const question of questions()) {
    const options = { ...question, headers: { ...question.headers, ...headers } };
    const [through, straight] = [
      await ask(url, question.path, options),
      await ask(registry.url, question.path, options),
    ];
    expect([question, straight.status]).toEqual([question, 401]);
    expect([question, refusal(through)]).toEqual([question, refusal(straight)]);
  }
}

describe.each<AuthKind>(["bearer", "basic"])("a private image that is cached, with %s", (kind) => {
  beforeEach(() => startPrivate(kind));

  test("is refused as the upstream does to those without rights, and served to others with them", async () => {
    const ndn = holds(large);
    await using endpoint = await stage.start(registry.url, ndn);
    const reader = await allowed(kind);
    for (const path of [byTag, byDigest(), blobPath]) expect((await ask(endpoint.url, path, reader)).status).toBe(200);
    await until("the blob to be cached", () => endpoint.store.has(large.ref.digest));
    await expectRefused(endpoint.url, {});
    await expectRefused(endpoint.url, { authorization: wrongAuthorization(kind) });

    const another = await allowed(kind);
    const blob = await ask(endpoint.url, blobPath, another);
    expect([blob.status, blob.headers["x-blob-source"], blob.body.equals(large.bytes)]).toEqual([200, "store", true]);
    const part = await ask(endpoint.url, blobPath, { headers: { ...another.headers, range: "bytes=5-9" } });
    expect([part.status, part.headers["x-blob-source"]]).toEqual([206, "store"]);
    for (const path of [byTag, byDigest()]) expect((await ask(endpoint.url, path, another)).status).toBe(200);
    expect(ndn.openedAt).toEqual([0]);
  });

  test("is refused while it is being fetched for another, who gets it, as do those with rights who follow", async () => {
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const ndn = waitsFor(gate, large);
    await using endpoint = await stage.start(registry.url, ndn, { hedge: "off" });
    const leader = ask(endpoint.url, blobPath, await allowed(kind));
    try {
      await until("the fetch", () => ndn.openedAt.length > 0);
      await expectRefused(endpoint.url, {});
      await expectRefused(endpoint.url, { authorization: wrongAuthorization(kind) });
      const follower = ask(endpoint.url, blobPath, await allowed(kind));
      const inFlight = async () =>
        sumOf(parseMetrics(await endpoint.metrics.metrics()), "ndn_registry_blobs_in_flight");
      await until("the follower", async () => (await inFlight()) === 2);
      openGate();
      for (const { status, body } of await Promise.all([leader, follower]))
        expect([status, body.equals(large.bytes)]).toEqual([200, true]);
    } finally {
      openGate();
    }
    expect(ndn.openedAt).toEqual([0]);
  });

  test("is not served by another repository's name to those who only know its digest", async () => {
    registry.addBlob(ofPublic, Buffer.from("something else"));
    await using endpoint = await stage.start(registry.url, holds(large));
    await ask(endpoint.url, blobPath, await allowed(kind));
    const elsewhere = `/v2/${ofPublic}/blobs/${large.ref.digest}`;
    for (const headers of [{}, { range: "bytes=0-9" }]) {
      const { status, body } = await ask(endpoint.url, elsewhere, { headers });
      expect([status, body.toString()]).toEqual([404, expect.stringContaining("BLOB_UNKNOWN")]);
    }
  });
});

test("a right that the upstream has withdrawn ends within 5 minutes", async () => {
  await startPrivate("bearer");
  await using endpoint = await stage.start(registry.url, holds(large));
  const reader = await allowed("bearer");
  for (const path of [byTag, byDigest(), blobPath]) await ask(endpoint.url, path, reader);
  registry.expireTokens();
  stage.later(rightsAreOldMs - 10_000);
  expect((await ask(endpoint.url, blobPath, reader)).status).toBe(200);
  stage.later(10_000);
  for (const path of [byDigest(), blobPath]) {
    const [through, straight] = [await ask(endpoint.url, path, reader), await ask(registry.url, path, reader)];
    expect(refusal(through)).toEqual({ ...refusal(straight), status: 401 });
  }
  expect((await ask(endpoint.url, blobPath, await allowed("bearer"))).headers["x-blob-source"]).toBe("store");
});

test("a fetch that breaks off in its middle goes on for the one it was begun for and for those who follow", async () => {
  await startPrivate("bearer");
  registry.fault = { kind: "reset-after", bytes: 4_000_000, times: 1 };
  await using endpoint = await stage.start(registry.url);
  const [leader, follower] = [await allowed("bearer"), await allowed("bearer")];
  const answers = await Promise.all([leader, follower].map((who) => ask(endpoint.url, blobPath, who)));
  for (const { status, body } of answers) expect([status, body.equals(large.bytes)]).toEqual([200, true]);
});

test("with the gateway's own login everybody who may reach it is served, from the store as well", async () => {
  await startPrivate("bearer");
  const credentials = { username: "reader", password: "secret" };
  await using endpoint = await stage.start(registry.url, undefined, { credentials });
  for (const source of ["upstream", "store"]) {
    const { status, headers, body } = await ask(endpoint.url, blobPath);
    expect([status, headers["x-blob-source"], body.equals(large.bytes)]).toEqual([200, source, true]);
  }
  const wrong = { headers: { authorization: wrongAuthorization("bearer") } };
  expect(refusal(await ask(endpoint.url, blobPath, wrong))).toEqual(refusal(await ask(registry.url, blobPath, wrong)));
});
