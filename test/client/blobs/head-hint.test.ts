/** Registries whose GET of blobs works and whose HEAD does not: NDN and the cache serve their pullers all the same. */
import type { ServerResponse } from "node:http";
import { expect, test, vi } from "vitest";
import { blobOf, holds, repository } from "#test/blob/faulty-sources.ts";
import { outwait, shortTimeouts, startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { until } from "#test/support/until.ts";
import { ask } from "../endpoint.ts";
import { useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const blob = blobOf("without HEAD", 300_000);
const size = blob.bytes.length;
const path = `/v2/${repository}/blobs/${blob.ref.digest}`;

/** A registry that gives the blob to the bearers of these tokens, and answers HEADs as it likes. */
function registryWith(head: (response: ServerResponse) => unknown, ...tokens: readonly string[]) {
  return startUpstream((request, response) => {
    if (request.method === "HEAD") return void head(response);
    if (!tokens.includes(request.headers.authorization ?? "")) return void response.writeHead(401).end("no");
    const isPart = request.headers.range !== undefined;
    if (isPart) response.writeHead(206, { "content-range": `bytes 0-0/${size}`, "content-length": 1 });
    else response.setHeader("content-length", size);
    response.end(isPart ? blob.bytes.subarray(0, 1) : blob.bytes);
  });
}

/** The half a minute for which the upstream is asked who may have a blob is over as soon as it begins. */
function skipTheTimeForRights(): void {
  const { setTimeout } = globalThis;
  const skip = (work: () => void, ms?: number) => {
    if (ms !== 30_000) return setTimeout(work, ms);
    work();
    return setTimeout(() => {}, 0);
  };
  vi.spyOn(globalThis, "setTimeout").mockImplementation(skip as typeof setTimeout);
}

const answers: [string, (response: ServerResponse) => unknown][] = [
  ...[401, 403, 404, 405, 500].map((code): [string, (response: ServerResponse) => unknown] => [
    String(code),
    (response) => response.writeHead(code).end(),
  ]),
  ["200 with Content-Length 0", (response) => response.writeHead(200, { "content-length": 0 }).end()],
  ["the end of the connection", (response) => response.destroy()],
];

test.each(answers)(
  "where a HEAD brings %s, NDN and the cache serve who may have the blob, and no one else",
  async (_, head) => {
    await using upstream = await registryWith(head, "Bearer a", "Bearer b");
    await using endpoint = await stage.start(upstream.url, holds(blob), { hedge: "off" });
    const sourceFor = async (authorization: string) => {
      const { status, headers } = await ask(endpoint.url, path, { headers: { authorization } });
      return [status, headers["x-blob-source"]];
    };
    expect(await sourceFor("Bearer a")).toEqual([200, "ndn"]);
    expect(await sourceFor("Bearer b")).toEqual([200, "store"]);
    expect(await sourceFor("Bearer c")).toEqual([401, "upstream"]);
    expect(upstream.seen.filter(({ method }) => method === "HEAD").length).toBeLessThanOrEqual(2); // undici asks a lost connection again
  },
);

test("a puller's own HEAD that is refused takes no right back where HEAD is of no use", async () => {
  await using upstream = await registryWith((response) => response.writeHead(404).end(), "Bearer a");
  await using endpoint = await stage.start(upstream.url, holds(blob), { hedge: "off" });
  const headers = { authorization: "Bearer a" };
  await ask(endpoint.url, path, { headers });
  expect((await ask(endpoint.url, path, { method: "HEAD", headers })).status).toBe(404);
  const before = upstream.seen.length;
  expect((await ask(endpoint.url, path, { headers })).headers["x-blob-source"]).toBe("store");
  expect(upstream.seen).toHaveLength(before);
});

test("where no one says in time whether a puller may have a blob, the upstream's answer to the GET itself is waited for", async () => {
  await using upstream = await registryWith((response) => response.writeHead(405).end(), "Bearer a", "Bearer b");
  await using endpoint = await stage.start(upstream.url, holds(blob), { hedge: "off" });
  const sourceFor = async (authorization: string) => {
    const { status, headers, body } = await ask(endpoint.url, path, { headers: { authorization } });
    return [status, headers["x-blob-source"], body.equals(blob.bytes)];
  };
  skipTheTimeForRights();
  expect(await sourceFor("Bearer a")).toEqual([200, "upstream", true]); // NDN has it
  expect(await sourceFor("Bearer b")).toEqual([200, "upstream", true]); // the cache has it
});

test("an upstream that is slow with everything is waited for by a puller of what is cached", async () => {
  const { promise: pause, resolve: resume } = Promise.withResolvers<void>();
  let isSlow = false;
  await using upstream = await startUpstream((request, response) => {
    if (request.url !== path) return;
    const answer = () =>
      response.setHeader("content-length", size).end(request.method === "GET" ? blob.bytes : undefined);
    void (isSlow ? pause.then(answer) : answer());
  });
  await using endpoint = await stage.start(upstream.url, undefined, { timeouts: shortTimeouts });
  await ask(endpoint.url, path, { headers: { authorization: "Bearer one" } });
  isSlow = true;
  skipTheTimeForRights();
  const asked = ask(endpoint.url, path, { headers: { authorization: "Bearer other" } });
  await until("the GET", () => upstream.seen.filter(({ method }) => method === "GET").length === 2);
  await outwait(upstream);
  resume();
  expect((await asked).body.equals(blob.bytes)).toBe(true);
});
