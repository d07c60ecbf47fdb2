import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { ask, startEndpoint } from "./endpoint.ts";
import { type RawUpstream, startUpstream } from "./upstream/raw-upstream.ts";

const digest = `sha256:${"a".repeat(64)}`;
const paths = [
  "/v2/team/app/manifests/latest",
  `/v2/team/app/manifests/${digest}`,
  `/v2/team/app/blobs/${digest}`,
  "/v2/team/app/tags/list",
  `/v2/team/app/referrers/${digest}`,
];

type Service = (request: IncomingMessage, response: ServerResponse) => void;

/** A registry that wants a token; `service` is what its token service does. */
async function startRegistry(
  service: Service,
  realm = (upstream: RawUpstream) => new URL("/token", upstream.url).href,
): Promise<RawUpstream> {
  const upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith("/token")) return service(request, response);
    const challenge = `Bearer realm="${realm(upstream)}",service="r",scope="repository:team/app:pull"`;
    response.writeHead(401, { "www-authenticate": challenge, "content-type": "application/json" });
    response.end(request.method === "HEAD" ? undefined : '{"errors":[{"code":"UNAUTHORIZED"}]}');
  });
  return upstream;
}

const failing: [string, Service][] = [
  ["breaks off", (_, response) => void response.destroy()],
  ["is out of order", (_, response) => void response.writeHead(503).end()],
  ["is over its limit", (_, response) => void response.writeHead(429).end()],
  ["talks of other things", (_, response) => void response.end("<html>")],
  ["redirects in circles", ({ url }, response) => void response.writeHead(302, { location: url }).end()],
];

test.each(failing)(
  "a puller without a login gets the registry's own 401 when the token service %s",
  async (_, service) => {
    await using upstream = await startRegistry(service);
    await using endpoint = await startEndpoint(upstream.url);
    for (const path of paths) {
      for (const method of ["GET", "HEAD"]) {
        const straight = await ask(upstream.url, path, { method });
        const { status, headers, body } = await ask(endpoint.url, path, { method });
        expect([path, status, body.toString()]).toEqual([path, 401, straight.body.toString()]);
        expect(headers["www-authenticate"]).toBe(straight.headers["www-authenticate"]);
      }
    }
  },
);

test.each(["/token", "token", "ftp://host/token", ""])("the same with a realm of %j", async (realm) => {
  await using upstream = await startRegistry(
    (_, response) => void response.writeHead(500).end(),
    () => realm,
  );
  await using endpoint = await startEndpoint(upstream.url);
  for (const path of paths) expect((await ask(endpoint.url, path)).status).toBe(401);
});

test("a login whose realm is not for passwords leaves what is public, as without it", async () => {
  const realm = ({ url }: RawUpstream) =>
    new URL("/token", url).href.replace("127.0.0.1", "registry.localhost.invalid");
  await using upstream = await startRegistry(() => {}, realm);
  await using endpoint = await startEndpoint(upstream.url, undefined, {
    credentials: { username: "a", password: "b" },
  });
  const { status, headers } = await ask(endpoint.url, paths[0]!);
  expect([status, headers["www-authenticate"]]).toEqual([401, expect.stringContaining("Bearer realm=")]);
});

test("a relative realm is asked with the client's own login", async () => {
  const seen: (string | undefined)[] = [];
  await using upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith("/v2/team/app/token")) {
      seen.push(request.headers.authorization);
      return void response.end('{"token":"T"}');
    }
    if (request.headers.authorization === "Bearer T") return void response.end("here");
    return void response.writeHead(401, { "www-authenticate": 'Bearer realm="../token"' }).end();
  });
  await using endpoint = await startEndpoint(upstream.url, undefined, {
    credentials: { username: "a", password: "b" },
  });
  const { status, body } = await ask(endpoint.url, "/v2/team/app/manifests/latest");
  expect([status, body.toString()]).toEqual([200, "here"]);
  expect(seen).toEqual(["Basic YTpi"]);
});

test("behind --htpasswd a token service that fails is a 503 without a challenge", async () => {
  await using upstream = await startRegistry((_, response) => void response.writeHead(503).end());
  const login = { check: () => Promise.resolve(true), close: async () => {} };
  await using endpoint = await startEndpoint(upstream.url, undefined, { login });
  for (const path of paths) {
    const { status, headers, body } = await ask(endpoint.url, path, { headers: { authorization: "Basic eDp5" } });
    expect([path, status]).toEqual([path, 503]);
    expect(headers).not.toHaveProperty("www-authenticate");
    expect(body.toString()).toContain("token");
  }
});

test("a token service that fails says nothing about rights: what was granted is served from the cache", async () => {
  const manifest = '{"schemaVersion":2}';
  const named = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
  let valid = "first";
  await using upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith("/gone")) return void response.destroy();
    if (request.url!.startsWith("/token")) return void response.end('{"token":"first"}');
    if (request.headers.authorization === `Bearer ${valid}`) {
      const headers = { "docker-content-digest": named, "content-type": "application/vnd.oci.image.manifest.v1+json" };
      return void response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : manifest);
    }
    const realm = valid === "first" ? "/token" : "/gone";
    return void response
      .writeHead(401, { "www-authenticate": `Bearer realm="${new URL(realm, upstream.url).href}"` })
      .end();
  });
  await using endpoint = await startEndpoint(upstream.url);
  const [byTag, byDigest] = ["latest", named].map((reference) => `/v2/team/app/manifests/${reference}`);
  expect((await ask(endpoint.url, byTag!)).status).toBe(200);
  valid = "none";
  for (const path of [byTag!, byTag!, byDigest!]) {
    const { status, body } = await ask(endpoint.url, path);
    expect([path, status, body.toString()]).toEqual([path, 200, manifest]);
  }
});
