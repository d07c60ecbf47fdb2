import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, startEndpoint } from "../endpoint.ts";
import { type RawUpstream, startUpstream } from "../upstream/raw-upstream.ts";

const bytes = '{"schemaVersion":2}';
const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const [byTag, byDigest, tags, referrers, catalog] = [
  "/v2/team/app/manifests/latest",
  `/v2/team/app/manifests/${digest}`,
  "/v2/team/app/tags/list",
  `/v2/team/app/referrers/${digest}`,
  "/v2/_catalog",
] as const;
const reads = [byTag, byDigest, tags, referrers, catalog];
const manifestHeaders = {
  "content-type": "application/vnd.oci.image.manifest.v1+json",
  "docker-content-digest": digest,
  "content-length": bytes.length,
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const give: Answer = (request, response) =>
  void response.writeHead(200, manifestHeaders).end(request.method === "HEAD" ? undefined : bytes);
const challenge: Answer = (_, response) =>
  void response.writeHead(401, { "www-authenticate": 'Basic realm="far"' }).end();

let far: RawUpstream;
let front: RawUpstream;
let answerFar: Answer;
let status: number;

// A front door that sends everything to another host, as a registry over object storage does.
beforeEach(async () => {
  [answerFar, status] = [give, 307];
  far = await startUpstream((request, response) => answerFar(request, response));
  front = await startUpstream(
    ({ url }, response) => void response.writeHead(status, { location: new URL(url!, far.url).href }).end("moved"),
  );
});
afterEach(async () => {
  await far[Symbol.asyncDispose]();
  await front[Symbol.asyncDispose]();
});

test.each([301, 302, 303, 307, 308])("reads are followed by %i to another host, without Authorization", async (one) => {
  status = one;
  await using endpoint = await startEndpoint(front.url);
  for (const path of reads) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask(endpoint.url, path, { method, headers: { authorization: "Bearer x", "x-own": "1" } });
      expect([path, answer.status, answer.body.toString()]).toEqual([path, 200, method === "GET" ? bytes : ""]);
      expect(answer.headers).not.toHaveProperty("location");
    }
  }
  expect(front.seen.every(({ headers }) => headers.authorization === "Bearer x")).toBe(true);
  for (const { headers } of far.seen) {
    expect(headers).not.toHaveProperty("authorization");
    expect(headers).not.toHaveProperty("x-own");
  }
});

test.each(["all", "far"])("a manifest that was redirected is served from the cache while %s is down", async (what) => {
  await using endpoint = await startEndpoint(front.url);
  expect((await ask(endpoint.url, byTag)).status).toBe(200);
  await far[Symbol.asyncDispose]();
  if (what === "all") await front[Symbol.asyncDispose]();
  for (const path of [byTag, byDigest]) {
    const { status: now, headers, body } = await ask(endpoint.url, path);
    expect([now, body.toString()]).toEqual([200, bytes]);
    const why = what === "all" ? "cannot be reached" : "answers 307, and where that leads to fails";
    if (path === byTag) expect(headers.warning).toContain(why);
  }
});

test("a puller gets the redirect itself when it is the one that may follow it", async () => {
  answerFar = challenge;
  await using endpoint = await startEndpoint(front.url);
  const challenged = await ask(endpoint.url, byTag);
  await far[Symbol.asyncDispose]();
  const unreachable = await ask(endpoint.url, byTag);
  for (const answer of [challenged, unreachable]) {
    expect([answer.status, answer.headers.location]).toEqual([307, new URL(byTag, far.url).href]);
    expect(answer.headers).not.toHaveProperty("www-authenticate");
  }
});

const login = { check: () => Promise.resolve(true), close: async () => {} };
const headers = { authorization: `Basic ${Buffer.from("reader:of-the-endpoint").toString("base64")}` };

const refusing: [string, Answer, number][] = [
  ["wants a login", challenge, 403],
  ["breaks off", (_, response) => void response.destroy(), 503],
];

test.each(refusing)("behind --htpasswd no puller is led to another host that %s", async (_, answers, expected) => {
  answerFar = answers;
  await using endpoint = await startEndpoint(front.url, undefined, { login });
  for (const path of [...reads, `/v2/team/app/blobs/${digest}`, `/v2/team/app/blobs/sha512:${"0".repeat(128)}`]) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask(endpoint.url, path, { method, headers });
      expect([path, method, answer.status]).toEqual([path, method, expected]);
      expect(answer.headers).not.toHaveProperty("location");
      expect(answer.headers).not.toHaveProperty("www-authenticate");
    }
  }
  const seen = JSON.stringify([...front.seen, ...far.seen].map(({ rawHeaders }) => rawHeaders));
  expect(seen).not.toContain("Basic ");
});

test("behind --htpasswd a write is not led to another host, and the ping is a welcome", async () => {
  await using endpoint = await startEndpoint(front.url, undefined, { login });
  const writes = [
    { path: byTag, method: "PUT", body: Buffer.from(bytes) },
    { path: byTag, method: "DELETE" },
    { path: "/v2/team/app/blobs/uploads/", method: "POST" },
  ];
  for (const { path, ...options } of writes) {
    const answer = await ask(endpoint.url, path, { ...options, headers });
    expect([path, answer.status]).toEqual([path, 403]);
    expect(answer.headers).not.toHaveProperty("location");
  }
  const ping = await ask(endpoint.url, "/v2/", { headers });
  expect([ping.status, ping.body.toString()]).toEqual([200, "{}"]);
});

test("a write that is redirected within the registry comes back here, also behind --htpasswd", async () => {
  await using upstream = await startUpstream((_, response) => {
    response.writeHead(307, { location: new URL("/v2/other/blobs/uploads/", upstream.url).href }).end();
  });
  for (const options of [{}, { login }]) {
    await using endpoint = await startEndpoint(upstream.url, undefined, options);
    const answer = await ask(endpoint.url, "/v2/team/app/blobs/uploads/", { method: "POST", headers });
    expect([answer.status, answer.headers.location]).toEqual([
      307,
      new URL("/v2/other/blobs/uploads/", endpoint.url).href,
    ]);
  }
});

test("a redirect to the same request, as from http to https, does not come back here for ever", async () => {
  await using upstream = await startUpstream(({ url }, response) => {
    response.writeHead(301, { location: `https://${upstream.url.host}${url}` }).end();
  });
  await using endpoint = await startEndpoint(upstream.url);
  const { status: now, headers: said } = await ask(endpoint.url, "/v2/");
  expect([now, said.location]).toEqual([301, `https://${upstream.url.host}/v2/`]);
});
