/** Once the upstream has named what a tag means, only that is served for it; and being slow is not being down. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Digest } from "#oci/reference.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";
import { type RawUpstream, startUpstream } from "../upstream/raw-upstream.ts";
import { ask } from "./ask.ts";
import { type ManifestEndpointOptions, startManifestEndpoint } from "./manifest-endpoint.ts";
import { byDigest, byTag, docker, key, oci, useManifestStage } from "./manifest-stage.ts";

const stage = useManifestStage();
const index = "application/vnd.oci.image.index.v1+json";
const manifestOf = (name: string, type = oci) => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, name }));
  return { bytes, type, digest: digestOf(bytes) as Digest };
};
const [before, after] = [manifestOf("before"), manifestOf("after")];
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let meant = before;
/** By method; else the tag's manifest is answered. */
let moods: Partial<Record<string, Answer>> = {};
let upstream: RawUpstream;

beforeEach(async () => {
  [meant, moods] = [before, {}];
  upstream = stage.owned.use(
    await startUpstream((request, response) => (moods[request.method!] ?? serve)(request, response)),
  );
});

afterEach(() => void vi.useRealTimers());

/** From now on time-outs come when the test says so. */
function holdTimeouts(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
}

const serve: Answer = ({ method, url }, response) => {
  const found = [before, meant].find(({ digest }) => url!.endsWith(digest)) ?? meant;
  response.writeHead(200, {
    "content-type": found.type,
    "content-length": found.bytes.length,
    "docker-content-digest": found.digest,
  });
  response.end(method === "HEAD" ? undefined : found.bytes);
};

const failures: [string, Answer][] = [
  ["429", (_, response) => void response.writeHead(429).end("no more pulls today")],
  ["503", (_, response) => void response.writeHead(503).end("not now")],
  ["a connection that ends", (_, response) => void response.destroy()],
];

/** An endpoint that has served the tag as it was before. */
async function start(options: ManifestEndpointOptions = {}) {
  const endpoint = stage.owned.use(await startManifestEndpoint(upstream.url, options));
  expect((await ask(endpoint.url, byTag)).body).toEqual(before.bytes);
  return endpoint;
}

test.each(failures)(
  "a tag that a HEAD has named anew is not served as it was before, where its GET meets %s",
  async (_what, fails) => {
    const endpoint = await start();
    [meant, moods] = [after, { GET: fails }];
    const { status, body } = await ask(endpoint.url, byTag);
    expect([status >= 400, body.equals(before.bytes)]).toEqual([true, false]);
    moods = { GET: fails, HEAD: fails };
    for (const method of ["GET", "HEAD"]) expect((await ask(endpoint.url, byTag, { method })).status).not.toBe(200);
    expect((await ask(endpoint.url, byDigest(before.digest))).body).toEqual(before.bytes);
    moods = {};
    expect((await ask(endpoint.url, byTag)).body).toEqual(after.bytes);
    moods = { GET: fails, HEAD: fails };
    expect((await ask(endpoint.url, byTag)).body).toEqual(after.bytes);
  },
);

test.each([
  ["a puller's own HEAD", { method: "HEAD" }],
  ["the pull of another puller", { headers: { authorization: "Bearer other" } }],
])("it counts as named by %s", async (_what, options) => {
  const endpoint = await start();
  [meant, moods] = [after, { GET: failures[1]![1] }];
  await ask(endpoint.url, byTag, options);
  await upstream[Symbol.asyncDispose]();
  expect((await ask(endpoint.url, byTag)).status).toBe(503);
});

test.each([index, docker])("a tag that has become %s is no longer what it was before", async (type) => {
  const endpoint = await start();
  [meant, moods] = [manifestOf("of another type", type), { GET: failures[1]![1] }];
  expect((await ask(endpoint.url, byTag, { headers: { accept: `${oci}, ${type}` } })).status).toBe(503);
  expect((await ask(endpoint.url, byTag)).status).toBe(503);
});

test("a tag that is named by a digest of another algorithm is no longer what it was before", async () => {
  const endpoint = await start();
  const sha512 = { "docker-content-digest": `sha512:${"0".repeat(128)}`, "content-type": oci };
  moods = { HEAD: (_, response) => void response.writeHead(200, sha512).end(), GET: failures[1]![1] };
  expect((await ask(endpoint.url, byTag)).status).toBe(503);
});

test.each([
  ["names another digest", () => (meant = after)],
  ["names none", () => (moods.HEAD = (_, response) => void response.writeHead(200, { "content-type": oci }).end())],
])("an upstream whose HEAD %s is waited for, however slow its GET is", async (_what, change) => {
  const endpoint = await start();
  meant = after;
  const asked = Promise.withResolvers<() => void>();
  moods = { GET: (request, response) => asked.resolve(() => serve(request, response)) };
  change();
  holdTimeouts();
  const answer = ask(endpoint.url, byTag);
  const release = await asked.promise;
  await vi.advanceTimersByTimeAsync(60_000);
  release();
  const { body, headers } = await answer;
  expect([body, headers.warning]).toEqual([after.bytes, undefined]);
});

test("what a HEAD says after the cache has answered is what the next pull gets", async () => {
  const endpoint = await start();
  meant = after;
  const asked = Promise.withResolvers<() => void>();
  moods = { HEAD: (request, response) => asked.resolve(() => serve(request, response)) };
  holdTimeouts();
  const answer = ask(endpoint.url, byTag);
  const release = await asked.promise;
  await vi.advanceTimersByTimeAsync(4_000);
  const stale = await answer;
  expect(stale.body).toEqual(before.bytes);
  expect(stale.headers.warning).toContain("upstream registry.test has not answered within 4 s; this is the manifest");
  vi.useRealTimers();
  release();
  await until("the late answer", () => endpoint.cache.digestsOf(key, "latest")[0] === after.digest);
  moods = {};
  expect((await ask(endpoint.url, byTag)).body).toEqual(after.bytes);
});

test("an upstream that breaks its connections off is not said to be out of reach", async () => {
  const endpoint = await start();
  moods = { HEAD: failures[2]![1] };
  expect((await ask(endpoint.url, byTag)).headers.warning).toContain("registry.test has broken off; this is");
});

test("an upstream that answers, but leads to where no one does, is not said to be out of reach", async () => {
  const endpoint = await start();
  moods = { HEAD: (_, response) => void response.writeHead(307, { location: "http://127.0.0.1:1/" }).end() };
  const { body, headers } = await ask(endpoint.url, byTag);
  expect(body).toEqual(before.bytes);
  expect(headers.warning).toContain("registry.test answers 307, and where that leads to fails; this is the manifest");
});

test("a ping that nothing can answer in the upstream's place is waited for", async () => {
  const endpoint = stage.owned.use(await startManifestEndpoint(upstream.url));
  const asked = Promise.withResolvers<() => void>();
  moods = { GET: (_, response) => asked.resolve(() => response.end("{}")) };
  holdTimeouts();
  const answer = ask(endpoint.url, "/v2/");
  const release = await asked.promise;
  await vi.advanceTimersByTimeAsync(60_000);
  release();
  expect((await answer).status).toBe(200);
});

test("the warning of a ping does not say that the upstream has answered so where it has not", async () => {
  const endpoint = await start();
  await upstream[Symbol.asyncDispose]();
  const { status, headers } = await ask(endpoint.url, "/v2/");
  expect(status).toBe(200);
  expect(headers.warning).toMatch(/cannot be reached; this is an answer in its place"$/);
});

/** Two pullers by the same tag, the first of which waits for its HEAD when the other is answered. */
async function whileOneWaits(change: () => void) {
  const endpoint = await start({ offline: "known-pullers" });
  const asked = Promise.withResolvers<void>();
  moods = { HEAD: () => asked.resolve() };
  holdTimeouts();
  const waiting = ask(endpoint.url, byTag);
  await asked.promise;
  moods = {};
  change();
  await ask(endpoint.url, byTag);
  await vi.advanceTimersByTimeAsync(4_000);
  return waiting;
}

test("what a HEAD names for one puller is what another gets whose own HEAD was asked before, and is not answered", async () => {
  expect((await whileOneWaits(() => (meant = after))).body).toEqual(after.bytes);
});

test.each([401, 403])("a puller that is refused with %d is not served what it had asked for before", async (status) => {
  const refuse: Answer = (_, response) => void response.writeHead(status).end();
  const answer = await whileOneWaits(() => (moods = { HEAD: refuse, GET: refuse }));
  expect(answer.status).toBe(status);
});
