import { afterEach, beforeEach, expect, test } from "vitest";
import { createRights } from "#client/rights/rights.ts";
import { parseChallenges } from "#oci/challenge.ts";
import { blobOf, holds, repository } from "#test/blob/faulty-sources.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { by } from "../puller.ts";

const blob = blobOf("private", 100_000);
const path = `/v2/${repository}/blobs/${blob.ref.digest}`;
let registry: TestRegistry;

beforeEach(async () => {
  registry = await startRegistry({ auth: { users: { reader: "secret" }, privateRepositories: [repository] } });
  registry.addBlob(repository, blob.bytes);
});

afterEach(() => registry.close());

async function login(challenge: string): Promise<string> {
  const { realm, service, scope } = parseChallenges(challenge)[0]!.parameters;
  const authorization = `Basic ${Buffer.from("reader:secret").toString("base64")}`;
  const url = `${realm}?${new URLSearchParams({ service: service!, scope: scope! }).toString()}`;
  const answer = (await (await fetch(url, { headers: { authorization } })).json()) as { token: string };
  return `Bearer ${answer.token}`;
}

function heads(): number {
  return registry.requests.filter(({ method }) => method === "HEAD").length;
}

test("without rights the puller gets the registry's own refusal though NDN has the blob, with rights the blob", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(blob));
  const [refused, straight] = [await ask(endpoint.url, path), await ask(registry.url, path)];
  expect(refused.status).toBe(401);
  expect(refused.headers["www-authenticate"]).toBe(straight.headers["www-authenticate"]);
  expect(refused.body.equals(straight.body)).toBe(true);

  const authorization = await login(refused.headers["www-authenticate"]!);
  const allowed = await ask(endpoint.url, path, { headers: { authorization } });
  expect([allowed.status, allowed.headers["x-blob-source"]]).toEqual([200, "ndn"]);
  expect(allowed.body.equals(blob.bytes)).toBe(true);
});

test("a right is remembered for its credential, and for no other", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(blob));
  const challenge = (await ask(registry.url, path)).headers["www-authenticate"]!;
  const headers = { authorization: await login(challenge) };
  await ask(endpoint.url, path, { headers });
  expect((await ask(endpoint.url, path, { headers })).status).toBe(200);
  expect(heads()).toBe(1);
  expect((await ask(endpoint.url, path, { headers: { authorization: "Bearer stolen" } })).status).toBe(401);
});

test("a right lasts for five minutes, and those who ask at the same time share the question", async () => {
  let [now, asked] = [1_000, 0];
  const headBlob = async () => ({ status: ++asked && 200, headers: { "content-length": "100000" } });
  const authorization = createRights({
    registry: { headBlob, getBlob: () => Promise.reject(new Error("HEAD is enough")) },
    registryHost: "registry.example",
    authorize: "upstream",
    now: () => now,
  });
  await Promise.all([authorization.ask(by("a"), blob.ref), authorization.ask(by("a"), blob.ref)]);
  now += 299_000;
  expect(await authorization.ask(by("a"), blob.ref)).toEqual({ kind: "granted", sizeBytes: 100_000 });
  expect(asked).toBe(1);
  now += 2_000;
  await authorization.ask(by("a"), blob.ref);
  expect(asked).toBe(2);
});

test("when the upstream cannot be asked, nothing is released", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(blob));
  await registry.close();
  const { status, headers, body } = await ask(endpoint.url, path);
  expect(status).toBe(503);
  expect(headers["docker-distribution-api-version"]).toBe("registry/2.0");
  expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
});

test("with --authorize none nobody is asked", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(blob), { authorize: "none" });
  await registry.close();
  expect((await ask(endpoint.url, path)).body.equals(blob.bytes)).toBe(true);
  expect(registry.requests).toEqual([]);
});

test("a HEAD is the upstream's to answer, and NDN's when it cannot be reached", async () => {
  await using endpoint = await startEndpoint(registry.url, holds(blob));
  expect((await ask(endpoint.url, path, { method: "HEAD" })).status).toBe(401);
  await registry.close();
  const { status, headers } = await ask(endpoint.url, path, { method: "HEAD" });
  expect([status, headers["content-length"], headers["x-blob-source"]]).toEqual([200, "100000", "ndn"]);
});
