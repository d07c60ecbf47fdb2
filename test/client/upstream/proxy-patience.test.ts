import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import pino from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createClientMetrics } from "#client/status/metrics.ts";
import { createProxy } from "#client/upstream/proxy.ts";
import { maxConnectionsPerOrigin } from "#oci/connections.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { until } from "#test/support/until.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { contextFor } from "../puller.ts";
import { outwait, shortTimeouts, startUpstream } from "./raw-upstream.ts";

const upload = "/v2/a/blobs/uploads/1";
const commit = `${upload}?digest=sha256:${"a".repeat(64)}`;
const empty = { "content-length": "0" };

/** A server that passes everything on; where another could answer, its upstream is given 50 ms. */
async function startProxy(upstream: URL) {
  const registry = new RegistryClient({ base: upstream, ...shortTimeouts });
  const [log, metrics] = [pino({ level: "silent" }), createClientMetrics(new Registry())];
  const proxy = createProxy({ upstream, registry, log, metrics, onAnswer: () => {} });
  const server = createServer((asked, response) => {
    void proxy.pass(contextFor(asked, response));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await Promise.all([proxy.close(), registry.close()]);
  };
  const { port } = server.address() as AddressInfo;
  return { url: new URL(`http://127.0.0.1:${port}/`), [Symbol.asyncDispose]: close };
}

test("every request may take the registry as long as the puller waits", async () => {
  const isOver = Promise.withResolvers<void>();
  await using upstream = await startUpstream((_, response) => {
    void isOver.promise.then(() => response.writeHead(201).end());
  });
  await using proxy = await startProxy(upstream.url);
  const reads = ["/v2/", "/v2/a/tags/list", "/v2/a/manifests/b", "/v2/a/referrers/sha256:b"];
  const asked = [
    ...["PUT", "POST", "PATCH", "DELETE"].map((method) => ask(proxy.url, commit, { method, headers: empty })),
    ...reads.flatMap((path) => ["GET", "HEAD"].map((method) => ask(proxy.url, path, { method }))),
  ];
  await until("the requests", () => upstream.seen.length === asked.length);
  await outwait(upstream);
  isOver.resolve();
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(asked.map(() => 201));
  expect(upstream.seen).toHaveLength(asked.length + 1); // outwait's own
});

test("an answer may pause for as long as the puller waits", async () => {
  const isOver = Promise.withResolvers<void>();
  await using upstream = await startUpstream(({ url }, response) => {
    if (url !== "/v2/a/tags/list") return;
    response.write("a");
    void isOver.promise.then(() => response.end("b"));
  });
  await using proxy = await startProxy(upstream.url);
  const asked = ask(proxy.url, "/v2/a/tags/list");
  await until("the request", () => upstream.seen.length === 1);
  await outwait(upstream);
  isOver.resolve();
  expect((await asked).body.toString()).toBe("ab");
});

test("a puller that goes away while its upload is committed ends the upstream's request", async () => {
  await using upstream = await startUpstream(() => {});
  await using endpoint = await startEndpoint(upstream.url);
  const sent = request(new URL(commit, endpoint.url), { method: "PUT", headers: empty, agent: false });
  sent.on("error", () => {}).end();
  await until("the commit", () => upstream.seen.length === 1);
  sent.destroy();
  await until("its end", () => upstream.seen[0]!.socket.destroyed);
});

test("uploads beyond the bound on connections wait for their turn", async () => {
  const waiting: (() => void)[] = [];
  await using upstream = await startUpstream((_, response) => {
    waiting.push(() => void response.writeHead(202).end());
    if (upstream.seen.length >= maxConnectionsPerOrigin) for (const answer of waiting.splice(0)) answer();
  });
  await using endpoint = await startEndpoint(upstream.url);
  const uploads = Array.from({ length: maxConnectionsPerOrigin + 4 }, () =>
    ask(endpoint.url, upload, { method: "POST" }),
  );
  expect(new Set((await Promise.all(uploads)).map(({ status }) => status))).toEqual(new Set([202]));
  expect(new Set(upstream.seen.map(({ socket }) => socket)).size).toBe(maxConnectionsPerOrigin);
});
