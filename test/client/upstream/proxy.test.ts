import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { blobOf, repository } from "#test/blob/faulty-sources.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { startRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { ask, begin, startEndpoint } from "../endpoint.ts";
import { startUpstream } from "./raw-upstream.ts";

test("a push goes through: the upload's Location leads back to this endpoint", async () => {
  const registry = await startRegistry();
  await using endpoint = await startEndpoint(registry.url);
  const { bytes, ref } = blobOf("pushed", 3_000_000);
  const begun = await ask(endpoint.url, `/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(begun.headers.location).toMatch(
    new RegExp(`^${endpoint.url.origin}/v2/${repository}/blobs/uploads/.+_state=0$`),
  );
  await pushBlob(endpoint.url.origin, repository, bytes);
  expect(registry.repositories.get(repository)?.blobs.get(ref.digest)?.equals(bytes)).toBe(true);
  await registry.close();
});

test("requests are answered the same straight and through the endpoint", async () => {
  const registry = await startRegistry();
  const { manifest, config } = registry.addImage(repository, "latest", [Buffer.from("layer")]);
  registry.addManifest(repository, "v2", { mediaType: "application/json", bytes: Buffer.from("{}") });
  await using endpoint = await startEndpoint(registry.url);
  const requests = [
    { path: "/v2/" },
    { path: "/v2/_catalog?n=1" },
    { path: `/v2/${repository}/tags/list?n=1` },
    { path: `/v2/${repository}/manifests/latest` },
    { path: `/v2/${repository}/manifests/${manifest}`, method: "HEAD" },
    { path: `/v2/${repository}/manifests/${manifest}`, headers: { "if-none-match": `"${manifest}"` } },
    { path: `/v2/${repository}/manifests/none` },
    { path: `/v2/${repository}/blobs/${config}` },
    { path: `/v2/${repository}/blobs/${config}`, method: "HEAD" },
    { path: `/v2/${repository}/blobs/sha256:${"0".repeat(64)}` },
    { path: `/v2/${repository}/blobs/sha256:${"0".repeat(64)}`, method: "HEAD" },
    { path: `/v2/${repository}/blobs/sha512:${"0".repeat(128)}` },
    { path: `/v2/${repository}/blobs/nonsense` },
    { path: "/v2/no/such/manifests/latest" },
    { path: "/v2/a%2fb/manifests/latest" },
    { path: `/v2/${repository}/manifests/latest`, method: "PUT", body: Buffer.from("not json") },
    {
      path: `/v2/${repository}/manifests/v3`,
      method: "PUT",
      headers: { "content-type": ";;" },
      body: Buffer.from("{}"),
    },
    { path: `/v2/${repository}/manifests/v4`, method: "DELETE" },
    { path: `/v2/${repository}/blobs/uploads/unknown`, method: "PATCH", body: Buffer.from("x") },
  ];
  const matter = [
    "content-type",
    "content-length",
    "docker-content-digest",
    "www-authenticate",
    "etag",
    "location",
    "link",
  ];
  for (const { path, ...options } of requests) {
    const straight = await ask(registry.url, path, options);
    const through = await ask(endpoint.url, path, options);
    expect({ path, status: through.status, body: through.body.toString() }).toEqual({
      path,
      status: straight.status,
      body: straight.body.toString(),
    });
    for (const name of matter) expect([path, through.headers[name]]).toEqual([path, straight.headers[name]]);
  }
  await registry.close();
});

test("the upstream sees its own Host, the raw path and the puller's headers, and nothing of the way", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"), "/base");
  await using endpoint = await startEndpoint(upstream.url);
  const headers = {
    authorization: "Bearer x",
    connection: "close, X-Hop",
    "x-hop": "1",
    "x-forwarded-host": "evil.example",
    forwarded: "host=evil.example",
    "user-agent": "docker/1",
  };
  await ask(endpoint.url, "/v2/a%2Fb//tags/list?last=%20&n=1", { headers });
  const [seen] = upstream.seen;
  expect(seen!.url).toBe("/base/v2/a%2Fb//tags/list?last=%20&n=1");
  expect(seen!.headers).toMatchObject({ host: upstream.url.host, authorization: "Bearer x", "user-agent": "docker/1" });
  for (const name of ["x-hop", "x-forwarded-host", "forwarded"]) expect(seen!.headers).not.toHaveProperty(name);
});

test("hop-by-hop headers of the answer stay behind, repeated ones stay apart, encoded bodies stay encoded", async () => {
  await using upstream = await startUpstream((_, response) => {
    response.writeHead(200, {
      connection: "keep-alive, x-hop",
      "x-hop": "1",
      "content-encoding": "gzip",
      "set-cookie": ["a=1", "b=2"],
    });
    response.end("not really gzip");
  });
  await using endpoint = await startEndpoint(upstream.url);
  const { headers, body } = await ask(endpoint.url, "/v2/", { headers: { "accept-encoding": "gzip" } });
  expect(headers).toMatchObject({ "content-encoding": "gzip", "set-cookie": ["a=1", "b=2"] });
  expect(headers).not.toHaveProperty("x-hop");
  expect(body.toString()).toBe("not really gzip");
});

test("a body that breaks off at the upstream breaks off here", async () => {
  await using upstream = await startUpstream((_, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half", () => response.destroy());
  });
  await using endpoint = await startEndpoint(upstream.url);
  await expect(ask(endpoint.url, "/v2/a/manifests/b")).rejects.toThrow("aborted");
});

test("a puller that goes away ends the upstream's request", async () => {
  await using upstream = await startUpstream((_, response) => void response.writeHead(200).write("first"));
  await using endpoint = await startEndpoint(upstream.url);
  const answer = await begin(endpoint.url, "/v2/a/manifests/b");
  const ended = until("the request", () => upstream.seen[0]?.socket.destroyed);
  answer.destroy();
  await ended;
});

test("an upload that is cut off does not look complete to the upstream", async () => {
  const aborted = Promise.withResolvers<void>();
  await using upstream = await startUpstream((seen) => seen.resume().once("aborted", () => aborted.resolve()));
  await using endpoint = await startEndpoint(upstream.url);
  const sent = request(new URL("/v2/a/blobs/uploads/1", endpoint.url), { method: "PATCH" });
  sent.on("error", () => {});
  sent.write("some");
  await until("the upload", () => upstream.seen.length === 1);
  sent.destroy();
  await aborted.promise;
});

test("an upstream that answers before it has read the body is heard", async () => {
  await using upstream = await startUpstream((_, response) => response.writeHead(401).end("no"));
  await using endpoint = await startEndpoint(upstream.url);
  const body = Buffer.alloc(20_000_000);
  const answer = await ask(endpoint.url, "/v2/a/blobs/uploads/1", { method: "PUT", body });
  expect([answer.status, answer.body.toString()]).toEqual([401, "no"]);
});

test("Expect: 100-continue is answered here and not passed on", async () => {
  await using upstream = await startUpstream((seen, response) => void text(seen).then((body) => response.end(body)));
  await using endpoint = await startEndpoint(upstream.url);
  const headers = { expect: "100-continue", "content-length": "2" };
  const sent = request(new URL("/v2/a/blobs/uploads/1", endpoint.url), { method: "PUT", headers });
  sent.flushHeaders();
  await once(sent, "continue");
  sent.end("ok");
  const [answer] = (await once(sent, "response")) as [NodeJS.ReadableStream];
  expect(await text(answer)).toBe("ok");
  expect(upstream.seen[0]!.headers).not.toHaveProperty("expect");
});

test("an upstream that cannot be reached is a 503 that says what to check", async () => {
  const registry = await startRegistry();
  const { url } = registry;
  await registry.close();
  await using endpoint = await startEndpoint(url);
  const { status, headers, body } = await ask(endpoint.url, "/v2/");
  expect([status, headers["docker-distribution-api-version"]]).toEqual([503, "registry/2.0"]);
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] };
  expect(errors[0]).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("--upstream") as string });
});

test("dot segments do not lead out of the API", async () => {
  await using upstream = await startUpstream((_, response) => response.end("secret"), "/base");
  await using endpoint = await startEndpoint(upstream.url);
  for (const path of ["/v2/../admin", "/v2/%2e%2e/admin", "/v2/a/../../../x", "/admin"]) {
    expect((await ask(endpoint.url, path)).status).toBe(404);
  }
  expect(upstream.seen).toEqual([]);
});

test("a request without Host is answered with a Location that is a path", async () => {
  await using upstream = await startUpstream((seen, response) => {
    response.writeHead(202, { location: `http://${seen.headers.host}/v2/a/blobs/uploads/1` }).end();
  });
  await using endpoint = await startEndpoint(upstream.url);
  const socket = connect(Number(endpoint.url.port), "127.0.0.1");
  socket.write("POST /v2/a/blobs/uploads/ HTTP/1.0\r\n\r\n");
  expect(await text(socket)).toContain("location: /v2/a/blobs/uploads/1\r\n");
});
