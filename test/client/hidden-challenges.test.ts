import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, type Endpoint, startEndpoint } from "./endpoint.ts";
import { type RawUpstream, startUpstream } from "./upstream/raw-upstream.ts";

const authorization = `Basic ${Buffer.from("reader:of-the-endpoint").toString("base64")}`;
const login = {
  check: (header: string | undefined) => Promise.resolve(header === authorization),
  close: async () => {},
};
const sha256 = `sha256:${"a".repeat(64)}`;
const sha512 = `sha512:${"b".repeat(128)}`;

let upstream: RawUpstream;
let refusal = 401;

// As Docker Hub does for a repository that is not public: the token that anybody gets is not enough.
beforeEach(async () => {
  refusal = 401;
  upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith("/token")) return void response.end('{"token":"of-nobody"}');
    const challenge = `Bearer realm="${upstream.url.href}token",service="upstream"`;
    response.writeHead(refusal, { "www-authenticate": challenge }).end("the upstream's own words");
  });
});

afterEach(() => upstream[Symbol.asyncDispose]());

/** The login of this endpoint must not have reached the upstream. */
function expectNothingPassedOn(): void {
  expect(upstream.seen.length).toBeGreaterThan(0);
  expect(JSON.stringify(upstream.seen.map(({ rawHeaders }) => rawHeaders))).not.toContain(authorization);
}

async function gated(options: Parameters<typeof startEndpoint>[2] = {}): Promise<Endpoint> {
  return startEndpoint(upstream.url, undefined, { login, ...options });
}

test.each([
  ["without a login of the client's own", {}],
  ["with one that is no longer good", { credentials: { username: "client", password: "old" } }],
])("behind --htpasswd, a right login is right although the upstream wants another, %s", async (_, options) => {
  await using endpoint = await gated(options);
  for (const [path, method, text] of [
    ["/v2/", "GET", "{}"],
    ["/v2/?n=1", "GET", "{}"],
    ["/v2/", "HEAD", ""],
  ] as const) {
    const { status, headers, body } = await ask(endpoint.url, path, { method, headers: { authorization } });
    expect([method, status, body.toString()]).toEqual([method, 200, text]);
    expect(headers).toMatchObject({ "docker-distribution-api-version": "registry/2.0", "content-length": "2" });
    expect(headers).not.toHaveProperty("www-authenticate");
  }
  expect((await ask(endpoint.url, "/v2/")).headers["www-authenticate"]).toBe('Basic realm="ndn-registry"');
  expectNothingPassedOn();
});

const repository = "/v2/team/app";
const refused: { path: string; method: string; headers?: Record<string, string>; body?: Buffer }[] = [
  { method: "GET", path: `${repository}/manifests/latest` },
  { path: `${repository}/manifests/latest`, method: "HEAD" },
  { method: "GET", path: `${repository}/manifests/${sha256}` },
  { path: `${repository}/manifests/latest`, method: "PUT", body: Buffer.from("{}") },
  { path: `${repository}/manifests/${sha256}`, method: "DELETE" },
  { method: "GET", path: `${repository}/blobs/${sha256}` },
  { path: `${repository}/blobs/${sha256}`, method: "HEAD" },
  { method: "GET", path: `${repository}/blobs/${sha256}`, headers: { range: "bytes=5-9" } },
  { method: "GET", path: `${repository}/blobs/${sha256}`, headers: { range: "bytes=0-" } },
  { method: "GET", path: `${repository}/blobs/${sha256}`, headers: { "if-none-match": '"x"' } },
  { path: `${repository}/blobs/${sha256}`, method: "HEAD", headers: { "if-none-match": '"x"' } },
  { path: `${repository}/blobs/${sha256}`, method: "DELETE" },
  { method: "GET", path: `${repository}/blobs/${sha512}` },
  { path: `${repository}/blobs/${sha512}`, method: "HEAD" },
  { method: "GET", path: `${repository}/tags/list` },
  { method: "GET", path: `${repository}/referrers/${sha256}` },
  { path: `${repository}/blobs/uploads/`, method: "POST" },
  { path: `${repository}/blobs/uploads/1`, method: "PATCH", body: Buffer.alloc(1_000_000) },
  { path: `${repository}/blobs/uploads/1?digest=${sha256}`, method: "PUT", headers: { "content-length": "0" } },
  { method: "GET", path: "/v2/_catalog" },
  { path: "/v2/", method: "POST", body: Buffer.from("x") },
];

test.each(refused)("behind --htpasswd, a refusal has no challenge: $method $path", async ({ path, ...options }) => {
  await using endpoint = await gated();
  const answer = await ask(endpoint.url, path, { ...options, headers: { ...options.headers, authorization } });
  expect(answer.status).toBe(403);
  expect(answer.headers).toMatchObject({
    "docker-distribution-api-version": "registry/2.0",
    "content-type": "application/json",
  });
  expect(answer.headers).not.toHaveProperty("www-authenticate");
  if (options.method === "HEAD") expect(answer.body).toHaveLength(0);
  else expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: "DENIED" }] });
  expectNothingPassedOn();
});

test("behind --htpasswd, a 403 of the upstream loses only its challenge", async () => {
  refusal = 403;
  await using endpoint = await gated();
  for (const path of ["/v2/", `${repository}/manifests/latest`, `${repository}/blobs/${sha256}`]) {
    const { status, headers, body } = await ask(endpoint.url, path, { headers: { authorization } });
    expect([path, status, body.toString()]).toEqual([path, 403, "the upstream's own words"]);
    expect(headers).not.toHaveProperty("www-authenticate");
  }
});

test("without --htpasswd the challenges are the puller's", async () => {
  await using endpoint = await startEndpoint(upstream.url);
  for (const { path, ...options } of [{ method: "GET", path: "/v2/" }, ...refused]) {
    const { status, headers } = await ask(endpoint.url, path, options);
    expect([path, status]).toEqual([path, 401]);
    expect(headers["www-authenticate"]).toContain("Bearer realm=");
  }
});
