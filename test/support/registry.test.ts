import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import {
  type Fault,
  patternBlob,
  type RegistryOptions,
  startRegistry,
  type TestRegistry,
  tarLayer,
} from "./registry.ts";

const open: TestRegistry[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((registry) => registry.close()));
});

const bytes = patternBlob(200_000, 7);

async function stage(options: RegistryOptions = {}) {
  const registry = await startRegistry(options);
  open.push(registry);
  const digest = registry.addBlob("team/app", bytes);
  const ask = (path: string, init: RequestInit = {}) => fetch(new URL(path, registry.url), init);
  const get = (headers: Record<string, string> = {}) => ask(`/v2/team/app/blobs/${digest}`, { headers });
  return { registry, digest, ask, get };
}

async function bodyOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

test("a blob is served where it was added, and only there", async () => {
  const { registry, digest, ask, get } = await stage();
  registry.addBlob("team/other", Buffer.from("x"));
  const response = await get();
  expect(await bodyOf(response)).toEqual(bytes);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "accept-ranges": "bytes",
    "content-length": "200000",
    "docker-content-digest": digest,
    "docker-distribution-api-version": "registry/2.0",
    etag: `"${digest}"`,
  });
  const elsewhere = await ask(`/v2/team/other/blobs/${digest}`);
  expect([elsewhere.status, await elsewhere.json()]).toMatchObject([404, { errors: [{ code: "BLOB_UNKNOWN" }] }]);
  expect(registry.blobGets(digest).map(({ status }) => status)).toEqual([200, 404]);
  expect(registry.bytesSent).toBe(bytes.length);
});

test.each([
  ["bytes=500-1499", 206, "bytes 500-1499/200000", 1000],
  ["bytes=199000-", 206, "bytes 199000-199999/200000", 1000],
  ["bytes=-500", 206, "bytes 199500-199999/200000", 500],
  ["bytes=0-0,5-6", 200, null, 200_000],
])("%s", async (range, status, contentRange, length) => {
  const { get } = await stage();
  const response = await get({ range });
  expect([response.status, response.headers.get("content-range")]).toEqual([status, contentRange]);
  expect((await bodyOf(response)).length).toBe(length);
});

test.each(["bytes=500-0", "bytes=200000-", "bytes=abc", "bytes=-0"])("%s is a 416 with the size", async (range) => {
  const { get } = await stage();
  const response = await get({ range });
  expect([response.status, response.headers.get("content-range")]).toEqual([416, "bytes */200000"]);
});

test("an image is a manifest whose parts are all there", async () => {
  const { registry, ask } = await stage();
  const image = registry.addImage("team/app", "v1", [tarLayer({ hello: "world" }), bytes]);
  const response = await ask("/v2/team/app/manifests/v1");
  expect(response.headers.get("docker-content-digest")).toBe(image.manifest);
  const manifest = (await response.json()) as { config: { digest: string }; layers: { mediaType: string }[] };
  expect(manifest.config.digest).toBe(image.config);
  expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([
    "application/vnd.oci.image.layer.v1.tar",
    "application/octet-stream",
  ]);
  for (const digest of [image.config, ...image.layers])
    expect((await ask(`/v2/team/app/blobs/${digest}`, { method: "HEAD" })).status).toBe(200);
});

test("tags come in pages", async () => {
  const { registry, ask } = await stage();
  for (const tag of ["c", "a", "b"]) registry.addImage("team/app", tag, []);
  const first = await ask("/v2/team/app/tags/list?n=2");
  expect(await first.json()).toEqual({ name: "team/app", tags: ["a", "b"] });
  const [, next = ""] = /^<(.+)>; rel="next"$/.exec(first.headers.get("link") ?? "") ?? [];
  const second = await ask(next);
  expect([await second.json(), second.headers.get("link")]).toEqual([{ name: "team/app", tags: ["c"] }, null]);
});

function sha512(content: string): string {
  return `sha512:${createHash("sha512").update(content).digest("hex")}`;
}

test("a blob is pushed in chunks, mounted, and deleted", async () => {
  const { ask } = await stage();
  const digest = sha512("hello world");
  const begun = await ask("/v2/new/blobs/uploads/", { method: "POST" });
  expect(begun.status).toBe(202);
  const patched = await ask(begun.headers.get("location")!, { method: "PATCH", body: "hello " });
  expect([patched.status, patched.headers.get("range")]).toEqual([202, "0-5"]);
  const location = patched.headers.get("location")!;
  const skipped = await ask(location, { method: "PATCH", body: "x", headers: { "content-range": "9-9" } });
  expect(skipped.status).toBe(416);
  const put = await ask(`${location}&digest=${digest}`, { method: "PUT", body: "world" });
  expect([put.status, put.headers.get("docker-content-digest")]).toEqual([201, digest]);
  const mounted = await ask(`/v2/else/blobs/uploads/?mount=${digest}&from=new`, { method: "POST" });
  expect(mounted.status).toBe(201);
  expect((await ask(`/v2/new/blobs/${digest}`, { method: "DELETE" })).status).toBe(202);
  expect((await ask(`/v2/new/blobs/${digest}`)).status).toBe(404);
  expect(await (await ask(`/v2/else/blobs/${digest}`)).text()).toBe("hello world");
});

test("a push with a wrong digest, or a manifest without its blobs, is refused", async () => {
  const { ask } = await stage();
  const wrong = await ask(`/v2/new/blobs/uploads/?digest=${sha512("a")}`, { method: "POST", body: "b" });
  expect([wrong.status, await wrong.json()]).toMatchObject([400, { errors: [{ code: "DIGEST_INVALID" }] }]);
  const manifest = JSON.stringify({ schemaVersion: 2, config: { digest: sha512("c") }, layers: [] });
  const put = await ask("/v2/new/manifests/v1", { method: "PUT", body: manifest });
  expect([put.status, await put.json()]).toMatchObject([404, { errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }] }]);
});

test("deleting a manifest takes its tags along", async () => {
  const { registry, ask } = await stage();
  const { manifest } = registry.addImage("team/app", "v1", []);
  expect((await ask(`/v2/team/app/manifests/${manifest}`, { method: "DELETE" })).status).toBe(202);
  expect((await ask("/v2/team/app/manifests/v1", { method: "HEAD" })).status).toBe(404);
});

test("a private repository wants a token that a login gives", async () => {
  const auth = { users: { ann: "pw" }, privateRepositories: ["team/app"] };
  const { get } = await stage({ auth });
  const challenge = (await get()).headers.get("www-authenticate") ?? "";
  expect(challenge).toContain('scope="repository:team/app:pull"');
  const realm = `${/realm="([^"]+)"/.exec(challenge)?.[1]}?scope=repository:team/app:pull`;
  const tokenFor = async (headers: Record<string, string>) => {
    const { token } = (await (await fetch(realm, { headers })).json()) as { token: string };
    return { authorization: `Bearer ${token}` };
  };
  expect((await get(await tokenFor({}))).status).toBe(401);
  expect((await get(await tokenFor({ authorization: `Basic ${btoa("ann:pw")}` }))).status).toBe(200);
  expect((await fetch(realm, { headers: { authorization: `Basic ${btoa("ann:no")}` } })).status).toBe(401);
});

test("redirected blobs come from another host, which refuses an Authorization", async () => {
  const { registry, digest, get } = await stage({ redirectBlobs: true });
  expect(await bodyOf(await get())).toEqual(bytes);
  const location = (await fetch(new URL(`/v2/team/app/blobs/${digest}`, registry.url), { redirect: "manual" })).headers;
  const response = await fetch(location.get("location")!, { headers: { authorization: "Bearer x" } });
  expect(response.status).toBe(400);
  expect(registry.cdnRequests.map(({ status }) => status)).toEqual([200, 400]);
});

test("the rate limit counts down to 429", async () => {
  const { get } = await stage({ rateLimit: { limit: 1 } });
  const [first, second] = [await get(), await get()];
  await Promise.all([first.arrayBuffer(), second.arrayBuffer()]);
  expect([first.status, first.headers.get("ratelimit-remaining")]).toEqual([200, "0;w=21600"]);
  expect([second.status, second.headers.get("retry-after")]).toEqual([429, "60"]);
});

const range = { range: "bytes=1000-1999" };
const asked = bytes.subarray(1000, 2000);

/** What arrives of `response` before it ends, and whether it broke off. */
async function arrives(response: Response): Promise<{ length: number; broke: boolean }> {
  let length = 0;
  try {
    for await (const chunk of response.body!) length += chunk.length;
    return { length, broke: false };
  } catch {
    return { length, broke: true };
  }
}

test.each<[Fault, number]>([
  [{ kind: "reset-after", bytes: 0 }, 0],
  [{ kind: "reset-after", bytes: 300 }, 300],
  [{ kind: "short-206" }, 500],
])("%j breaks off", async (fault, length) => {
  const { registry, get } = await stage();
  registry.fault = fault;
  const response = await get(range);
  expect([response.status, response.headers.get("content-length")]).toEqual([206, "1000"]);
  expect(await arrives(response)).toEqual({ length, broke: true });
});

test("stall-after sends so much and no end", async () => {
  const { registry, get } = await stage();
  registry.fault = { kind: "stall-after", bytes: 300 };
  const reader = (await get(range)).body!.getReader();
  expect((await reader.read()).value?.length).toBe(300);
  const next = reader.read().catch((err: unknown) => err);
  await registry.close();
  expect(await next).toBeInstanceOf(Error);
});

test("faults that lie about the range or the bytes", async () => {
  const { registry, get } = await stage();
  const under = async (fault: Fault) => {
    registry.fault = fault;
    const response = await get(range);
    return { status: response.status, at: response.headers.get("content-range"), body: await bodyOf(response) };
  };
  expect(await under({ kind: "ignore-range" })).toEqual({ status: 200, at: null, body: bytes });
  const other = await under({ kind: "ignore-range-wrong" });
  expect([other.status, other.body.length, other.body.equals(bytes)]).toEqual([200, bytes.length, false]);
  const beside = await under({ kind: "wrong-206" });
  expect(beside).toEqual({ status: 206, at: "bytes 999-1998/200000", body: bytes.subarray(999, 1999) });
  const wrong = await under({ kind: "wrong-bytes" });
  expect([wrong.status, wrong.body.length, wrong.body.equals(asked)]).toEqual([206, 1000, false]);
  expect((await under({ kind: "status", status: 503 })).status).toBe(503);
});

test("a fault may hit one blob, and so many answers", async () => {
  const { registry, digest, get } = await stage();
  registry.faults.set(digest, { kind: "status", status: 500, times: 1 });
  const other = registry.addBlob("team/app", Buffer.from("other"));
  const healthy = await fetch(new URL(`/v2/team/app/blobs/${other}`, registry.url));
  expect([healthy.status, (await get()).status, (await get()).status]).toEqual([200, 500, 200]);
});

test("slow and late answers are right in the end", async () => {
  const { registry, get } = await stage();
  registry.fault = { kind: "slow", bytesPerSecond: 20_000, delayMs: 5 };
  const began = performance.now();
  expect(await bodyOf(await get(range))).toEqual(asked);
  expect(performance.now() - began).toBeGreaterThan(40);
});

test("a pattern is repeatable, its own for every seed, and a tar is a tar", () => {
  expect(patternBlob(1000, 7)).toEqual(bytes.subarray(0, 1000));
  expect(patternBlob(1000, 8)).not.toEqual(bytes.subarray(0, 1000));
  expect(tarLayer({ a: "b" }).length % 512).toBe(0);
});
