import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { Network } from "#oci/connections.ts";
import { startProxy, type TestProxy } from "#test/support/proxies/http-proxy.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { startUpstream } from "./raw-upstream.ts";

const through = (proxy: TestProxy) => ({ network: new Network({ proxyFor: () => proxy.url }) });

test("pushes and pings go through the proxy as they are, repeated headers included", async () => {
  await using upstream = await startUpstream((request, response) => {
    void text(request).then((body) => response.writeHead(201).end(body));
  });
  await using proxy = await startProxy();
  const base = new URL(`http://registry.test:${upstream.url.port}`);
  await using endpoint = await startEndpoint(base, undefined, through(proxy));
  const body = Buffer.alloc(3_000_000, "x");
  const pushed = await ask(endpoint.url, "/v2/a/blobs/uploads/1", { method: "PUT", body });
  expect([pushed.status, pushed.body.length]).toEqual([201, body.length]);
  const headers = { accept: ["a/b", "c/d"], "x-own": ["1", "2"] } as unknown as Record<string, string>;
  await ask(endpoint.url, "/v2/", { headers });
  expect(proxy.seen.map(({ line }) => line)).toEqual([`PUT ${base.href}v2/a/blobs/uploads/1`, `GET ${base.href}v2/`]);
  expect(upstream.seen[1]!.headersDistinct).toMatchObject({ accept: ["a/b", "c/d"], "x-own": ["1", "2"] });
});

test("a proxy that wants a login is a 503 that says so", async () => {
  await using proxy = await startProxy(() => 407);
  const base = new URL("http://registry.test");
  await using endpoint = await startEndpoint(base, undefined, through(proxy));
  const reads = ["/v2/", "/v2/a/manifests/b", `/v2/a/blobs/sha256:${"0".repeat(64)}`].map((path) => ["GET", path]);
  for (const [method, path = ""] of [...reads, ["POST", "/v2/a/blobs/uploads/"]]) {
    const { status, body } = await ask(endpoint.url, path, { method: method! });
    expect([path, status]).toEqual([path, 503]);
    expect(body.toString()).toContain("Proxy Authentication Required");
  }
});
