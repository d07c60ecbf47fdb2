import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { digestOfHash } from "#oci/reference.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";
import type { TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { prefix, serve } from "../serving.ts";
import { askPointer, repository } from "./asking.ts";

const mediaType = "application/vnd.oci.image.manifest.v1+json";
const bytes = Buffer.from('{"schemaVersion":2}');
const digest = digestOfHash(hash("sha256", bytes, "buffer"));
const latest: PointerTarget = { kind: "tag", repository, tag: "latest" };
const all: PointerTarget[] = [
  latest,
  { kind: "manifest", repository, digest },
  { kind: "tags", repository },
  { kind: "referrers", repository, digest },
  { kind: "catalog" },
];

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server over a registry that answers so. */
async function serveOver(answer: Answer, metrics = new Registry()) {
  const registry = await startUpstream((request, response) => void answer(request, response));
  const serving = await serve(registry as unknown as TestRegistry, { publishCatalog: true, metrics });
  return {
    registry,
    serving,
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

test.each<[string, Answer]>([
  ["answers 429", (_, response) => response.writeHead(429).end()],
  ["answers 500", (_, response) => response.writeHead(500).end()],
  ["closes the connection", (request) => request.socket.destroy()],
  ["does not answer", () => {}],
  ["answers with a web page", (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
])("a registry that %s is silence, and no word about anything", async (_, answer) => {
  await using over = await serveOver(answer);
  const reader = over.serving.reader();
  const limits = { timeoutMs: 500 };
  const questions = all.map((target) => reader.get(pointerName(prefix, target), {}, limits));
  for (const outcome of await Promise.allSettled(questions)) expect(outcome.status).toBe("rejected");
});

test.each<[string, Answer]>([
  ["200 without a digest", (_, response) => response.writeHead(200, { "content-type": mediaType }).end()],
  ["405", (_, response) => response.writeHead(405).end()],
])("where a HEAD brings %s a GET says what the tag means", async (_, onHead) => {
  await using over = await serveOver((request, response) => {
    if (request.method === "HEAD") return onHead(request, response);
    if (!request.url!.endsWith("/manifests/latest")) return response.writeHead(404).end();
    return response.writeHead(200, { "content-type": mediaType }).end(bytes);
  });
  expect(await askPointer(over.serving.reader(), latest)).toMatchObject({ digest, mediaType, inline: bytes });
});

test("a manifest that does not hash to what the tag means is not published", async () => {
  const metrics = new Registry();
  await using over = await serveOver((request, response) => {
    response.writeHead(200, { "content-type": mediaType, "docker-content-digest": digest });
    response.end(request.method === "HEAD" ? undefined : "{}");
  }, metrics);
  const reader = over.serving.reader();
  await expect(reader.get(pointerName(prefix, latest), {}, { timeoutMs: 500 })).rejects.toThrow();
  const { values } = await metrics.getSingleMetric("ndn_registry_server_pointers_total")!.get();
  const outcomes = values.filter(({ labels }) => labels.kind === "tag").map(({ labels }) => labels.outcome);
  expect(outcomes).toEqual(["failed"]);
  expect(over.serving.log.some(({ msg }) => msg === "a pointer cannot be made now")).toBe(true);
});

test("a registry that fails is asked once a second for a tag, however many ask", async () => {
  await using over = await serveOver((_, response) => response.writeHead(503).end());
  const { counters } = over.serving.server.producer;
  const begin = performance.now();
  const questions = Array.from({ length: 30 }, () =>
    over.serving.reader().get(pointerName(prefix, latest), { isUnique: true }, { timeoutMs: 400 }),
  );
  for (const outcome of await Promise.allSettled(questions)) expect(outcome.status).toBe("rejected");
  expect(counters.interests).toBeGreaterThanOrEqual(30);
  const heads = over.registry.seen.filter(({ method }) => method === "HEAD").length;
  expect(heads).toBeLessThanOrEqual(1 + (performance.now() - begin) / 1_000);
});

test("a crowd that asks for tags that are not there costs the registry no more than strangers may", async () => {
  await using over = await serveOver((_, response) => response.writeHead(404).end());
  const reader = over.serving.reader();
  const { counters } = over.serving.server.producer;
  for (let i = 0; i < 3_000; i++)
    reader.ask(pointerName(prefix, { kind: "tag", repository, tag: `t${i}` }), { canBePrefix: true });
  while (counters.interests < 3_000) await new Promise(setImmediate);
  expect(await askPointer(reader, { kind: "tag", repository, tag: "t0" })).toBeUndefined();
  expect(over.registry.seen.length).toBeLessThan(1_000);
});

test("a crowd that asks for tags that are there costs the registry no more than so many questions a second", async () => {
  await using over = await serveOver((request, response) => {
    response.writeHead(200, { "content-type": mediaType, "docker-content-digest": digest });
    response.end(request.method === "HEAD" ? undefined : bytes);
  });
  const reader = over.serving.reader();
  const { counters } = over.serving.server.producer;
  const begin = performance.now();
  for (let i = 0; i < 5_000; i++) {
    reader.ask(pointerName(prefix, { kind: "tag", repository, tag: `t${i}` }), { canBePrefix: true });
    if (i % 100 === 99) await until("Interests to be seen", () => counters.interests > i);
  }
  await until("the registry to be asked", () => over.registry.seen.length > 500);
  const heads = over.registry.seen.filter(({ method }) => method === "HEAD").length;
  expect(heads).toBeLessThanOrEqual(1_000 + (500 * (performance.now() - begin)) / 1_000);
  expect(over.registry.seen.filter(({ method, url }) => method === "GET" && url!.includes("/manifests/"))).toHaveLength(
    1,
  );
});

test("a referrers API is asked first", async () => {
  const descriptor = { mediaType, digest, size: bytes.length, artifactType: "application/x" };
  await using over = await serveOver((request, response) => {
    if (!request.url!.includes("/referrers/")) return response.writeHead(404).end();
    return response.writeHead(200).end(JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  });
  const pointer = await askPointer(over.serving.reader(), { kind: "referrers", repository, digest });
  expect(JSON.parse(pointer!.inline!.toString()).manifests).toEqual([descriptor]);
  expect(over.registry.seen.filter(({ url }) => url!.includes("/manifests/"))).toEqual([]);
});
