import { buffer } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { afterEach, expect, test } from "vitest";
import type { Digest } from "#oci/reference.ts";
import { type Auth, RegistryClient, type RegistryClientOptions, RegistryUnreachable } from "#oci/registry-client.ts";
import { type Fault, patternBlob, type RegistryOptions, startRegistry } from "#test/support/registry.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

const bytes = patternBlob(300_000);
const anonymous: Auth = { kind: "anonymous" };
const signal = AbortSignal.timeout(60_000);

async function stage(options: RegistryOptions = {}, clientOptions: Partial<RegistryClientOptions> = {}) {
  const registry = await startRegistry(options);
  const client = new RegistryClient({ base: registry.url, ...clientOptions });
  open.push(registry, client);
  return { registry, client, digest: registry.addBlob("team/app", bytes) };
}

async function read(client: RegistryClient, digest: Digest, auth: Auth = anonymous): Promise<Buffer> {
  const { status, body } = await client.getBlob("team/app", digest, { auth, signal });
  expect(status).toBe(200);
  return buffer(body);
}

test("a blob comes whole, undecoded, and once", async () => {
  const { registry, client, digest } = await stage();
  expect(await read(client, digest)).toEqual(bytes);
  expect(registry.requests).toHaveLength(1);
  expect(registry.requests[0]?.headers["accept-encoding"]).toBe("identity");
});

test("a range comes as a 206 that says which", async () => {
  const { client, digest } = await stage();
  const range = { start: 1000, end: 2000 };
  const { status, headers, body } = await client.getBlob("team/app", digest, { auth: anonymous, range, signal });
  expect([status, headers["content-range"]]).toEqual([206, "bytes 1000-1999/300000"]);
  expect(await buffer(body)).toEqual(bytes.subarray(1000, 2000));
});

test("HEAD tells the size", async () => {
  const { client, digest } = await stage();
  const { status, headers } = await client.headBlob("team/app", digest, { auth: anonymous, signal });
  expect([status, headers["content-length"]]).toEqual([200, "300000"]);
});

test("a refusal is the registry's own answer", async () => {
  const { client, digest } = await stage();
  const { status, body } = await client.getBlob("team/other", digest, { auth: anonymous, signal });
  expect(status).toBe(404);
  expect((await buffer(body)).toString()).toContain("NAME_UNKNOWN");
});

test("the registry's base may have a path", async () => {
  const { registry, digest } = await stage();
  const client = new RegistryClient({ base: new URL("sub/", registry.url) });
  open.push(client);
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  await buffer(body);
  expect(registry.requests[0]?.url).toBe(`/sub/v2/team/app/blobs/${digest}`);
});

test("redirects are followed with the range, without Authorization and cookies", async () => {
  const { registry, client, digest } = await stage({ redirectBlobs: true });
  const auth: Auth = { kind: "puller", value: "Bearer of-the-puller" };
  const { status, body } = await client.getBlob("team/app", digest, {
    auth,
    range: { start: 10 },
    headers: { Cookie: "a=b", Accept: "*/*" },
    signal,
  });
  expect(status).toBe(206);
  expect(await buffer(body)).toEqual(bytes.subarray(10));
  expect(registry.requests[0]?.headers).toMatchObject({ authorization: "Bearer of-the-puller", cookie: "a=b" });
  const [request] = registry.cdnRequests;
  expect(request?.headers).toMatchObject({ accept: "*/*", range: "bytes=10-" });
  expect(request?.headers).not.toHaveProperty("authorization");
  expect(request?.headers).not.toHaveProperty("cookie");
});

test("a token is fetched once for concurrent reads and used again afterwards", async () => {
  const { registry, client, digest } = await stage({ auth: { users: {} } });
  await Promise.all([read(client, digest), read(client, digest), read(client, digest)]);
  await read(client, digest);
  expect(registry.tokenRequests).toHaveLength(1);
  expect(registry.requests.at(-1)?.headers.authorization).toMatch(/^Bearer /);
});

test("a token that stops working is replaced", async () => {
  const { registry, client, digest } = await stage({ auth: { users: {} } });
  await read(client, digest);
  registry.expireTokens();
  await read(client, digest);
  expect(registry.tokenRequests).toHaveLength(2);
});

const secret = { users: { ann: "pw" }, privateRepositories: ["team/app"] };
const credentials = { username: "ann", password: "pw" };

test.each(["bearer", "basic"] as const)("a private blob needs the login (%s)", async (kind) => {
  const { client, digest } = await stage({ auth: { ...secret, kind } }, { credentials });
  expect(await read(client, digest, { kind: "login" })).toEqual(bytes);
  const { status, headers, body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  await buffer(body);
  expect(status).toBe(401);
  expect(headers["www-authenticate"]).toMatch(new RegExp(kind, "i"));
});

test("an anonymous request never carries the login", async () => {
  const { registry, client, digest } = await stage({ auth: secret }, { credentials });
  await client.headBlob("team/app", digest, { auth: anonymous, signal });
  expect(registry.tokenRequests.map(({ authorization }) => authorization)).toEqual([undefined]);
});

test("a wrong password is sent to a registry with Basic once in a minute, not with every question", async () => {
  const wrong = { username: "ann", password: "no" };
  const { registry, client, digest } = await stage({ auth: { ...secret, kind: "basic" } }, { credentials: wrong });
  for (let i = 0; i < 3; i++) {
    const { status } = await client.headBlob("team/app", digest, { auth: { kind: "login" }, signal });
    expect(status).toBe(401);
  }
  expect(registry.requests.filter(({ headers }) => headers.authorization !== undefined)).toHaveLength(1);
});

test("a wrong password leaves the registry's 401", async () => {
  const wrong = { username: "ann", password: "no" };
  const { client, digest } = await stage({ auth: secret }, { credentials: wrong });
  const { status } = await client.headBlob("team/app", digest, { auth: { kind: "login" }, signal });
  expect(status).toBe(401);
});

test("a rate limit is the registry's own answer, with its headers", async () => {
  const { client, digest } = await stage({ rateLimit: { limit: 100, remaining: 0 } });
  const { status, headers, body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  await buffer(body);
  expect([status, headers["retry-after"], headers["ratelimit-remaining"]]).toEqual([429, "60", "0;w=21600"]);
});

const breaks: Fault[] = [{ kind: "reset-after", bytes: 100_000 }, { kind: "short-206" }];
test.each(breaks)("$kind: the body fails with RegistryUnreachable and its cause", async (fault) => {
  const { registry, client, digest } = await stage();
  registry.fault = fault;
  const range = { start: 1 };
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, range, signal });
  const failure: unknown = await buffer(body).catch((err: unknown) => err);
  expect(failure).toBeInstanceOf(RegistryUnreachable);
  expect((failure as Error).cause).toBeInstanceOf(Error);
});

test("a stall ends with the body timeout", async () => {
  const { registry, client, digest } = await stage({}, { bodyTimeoutMs: 300 });
  registry.fault = { kind: "stall-after", bytes: 1000 };
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  await expect(buffer(body)).rejects.toThrow(RegistryUnreachable);
});

test("a registry that is away is unreachable", async () => {
  const { registry, client, digest } = await stage();
  await registry.close();
  await expect(client.headBlob("team/app", digest, { auth: anonymous, signal })).rejects.toThrow(RegistryUnreachable);
});

test("an abort is not a failure: it keeps its reason, before and within the body", async () => {
  const { registry, client, digest } = await stage();
  const reason = new Error("the puller has gone");
  registry.fault = { kind: "stall-after", bytes: 1000 };
  const within = new AbortController();
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, signal: within.signal });
  body.once("data", () => within.abort(reason));
  await expect(buffer(body)).rejects.toBe(reason);

  registry.fault = { kind: "late", delayMs: 10_000 };
  const before = new AbortController();
  const pending = client.getBlob("team/app", digest, { auth: anonymous, signal: before.signal });
  before.abort(reason);
  await expect(pending).rejects.toBe(reason);
});

test("a body that is destroyed early, or never read, harms no one", async () => {
  const { registry, client, digest } = await stage();
  const early = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  early.body.destroy();
  registry.fault = { kind: "reset-after", bytes: 10 };
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  await finished(body).catch(() => {});
  expect(body.errored).toBeInstanceOf(RegistryUnreachable);
});

test("close ends what is running", async () => {
  const { registry, client, digest } = await stage();
  registry.fault = { kind: "stall-after", bytes: 1000 };
  const { body } = await client.getBlob("team/app", digest, { auth: anonymous, signal });
  const failure = expect(buffer(body)).rejects.toThrow(RegistryUnreachable);
  await client.close();
  await failure;
});
