/** HEAD is a hint: where it is refused or says nothing, a GET of the first byte decides, and that is remembered. */
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { BlobProbe } from "#oci/blob-probe.ts";
import { emptyDigest } from "#oci/reference.ts";
import { RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import { blobOf, repository } from "#test/blob/faulty-sources.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";

const blob = blobOf("probed", 300_000);
const size = blob.bytes.length;
const { signal } = new AbortController();
const auth = { kind: "anonymous" } as const;

type Answer = (response: ServerResponse) => unknown;
const status = (code: number, headers: Record<string, string | number> = {}): Answer => {
  return (response) => response.writeHead(code, headers).end();
};
const worksAsHead = status(200, { "content-length": size });
const firstByte: Answer = (response) =>
  response.writeHead(206, { "content-range": `bytes 0-0/${size}`, "content-length": 1 }).end("x");
const whole: Answer = (response) => response.writeHead(200, { "content-length": size }).end(blob.bytes);
const breaksOff: Answer = (response) => response.destroy();
const silent: Answer = () => {};

/** A registry that answers HEAD and GET so, and a probe of it. */
async function stage(head: Answer, get: Answer) {
  const upstream = await startUpstream((request, response) => {
    (request.method === "HEAD" ? head : get)(response);
  });
  const client = new RegistryClient({ base: upstream.url });
  const clock = { nowMs: 0 };
  const probe = new BlobProbe(client, { now: () => clock.nowMs, headTimeoutMs: 200 });
  const ask = (insists = true, digest = blob.ref.digest) => probe.ask(repository, digest, { auth, signal, insists });
  const asked = () => upstream.seen.map(({ method, headers }) => [method, headers.range].join(" ").trim());
  const close = async () => {
    await client.close();
    await upstream[Symbol.asyncDispose]();
  };
  return { ask, asked, probe, clock, [Symbol.asyncDispose]: close };
}

test("a HEAD that works is enough", async () => {
  await using registry = await stage(worksAsHead, firstByte);
  for (let turn = 0; turn < 2; turn++) expect(await registry.ask()).toEqual({ status: 200, sizeBytes: size });
  expect(registry.asked()).toEqual(["HEAD", "HEAD"]);
  expect(registry.probe.believesHead).toBe(true);
});

describe.each<[string, Answer]>([
  ["401", status(401)],
  ["403", status(403)],
  ["404", status(404)],
  ["405", status(405)],
  ["500", status(500)],
  ["501", status(501)],
  ["503", status(503)],
  ["200 with Content-Length 0", status(200, { "content-length": 0 })],
  ["a connection that is broken off", breaksOff],
  ["nothing", silent],
])("where a HEAD is answered by %s", (_, head) => {
  test.each<[string, Answer, number | undefined]>([
    ["206", firstByte, size],
    ["206 of unknown size", status(206, { "content-range": "bytes 0-0/*" }), undefined],
    ["200, whatever the range", whole, size],
    ["200 in chunks", (response) => response.write("x") && response.end(), undefined],
    ["200, encoded", status(200, { "content-length": 99, "content-encoding": "gzip" }), undefined],
  ])("a GET that is answered by %s grants it, and is asked at once the next time", async (_get, get, sizeBytes) => {
    await using registry = await stage(head, get);
    expect(await registry.ask()).toEqual({ status: 200, sizeBytes });
    const before = registry.asked().length;
    expect(await registry.ask()).toEqual({ status: 200, sizeBytes });
    expect(registry.asked().slice(before)).toEqual(["GET bytes=0-0"]);
    expect(registry.probe.believesHead).toBe(false);
    registry.clock.nowMs += 3_600_000;
    expect(registry.probe.believesHead).toBe(true);
  });

  test.each([401, 403, 404, 429, 500])(
    "a GET that is answered by %d decides, and HEAD stays as good as it was",
    async (code) => {
      await using registry = await stage(head, status(code));
      expect(await registry.ask()).toEqual({ status: code, sizeBytes: undefined });
      expect(registry.probe.believesHead).toBe(true);
    },
  );
});

test("an empty blob has a Content-Length of 0", async () => {
  await using registry = await stage(status(200, { "content-length": 0 }), status(404));
  expect(await registry.ask(true, emptyDigest)).toEqual({ status: 200, sizeBytes: 0 });
  await using without = await stage(status(405), status(416, { "content-range": "bytes */0" }));
  expect((await without.ask(true, emptyDigest)).status).toBe(200);
});

test("a HEAD that says no length grants all the same", async () => {
  await using registry = await stage(
    (response) => response.writeHead(200, { "transfer-encoding": "chunked" }).end(),
    firstByte,
  );
  expect(await registry.ask()).toEqual({ status: 200, sizeBytes: undefined });
  expect(registry.asked()).toEqual(["HEAD"]);
});

test.each([
  [429, true],
  [503, false],
  [500, false],
])("a HEAD that is answered by %d costs no GET (insists: %s)", async (code, insists) => {
  await using registry = await stage(status(code), firstByte);
  expect(await registry.ask(insists)).toEqual({ status: code, sizeBytes: undefined });
  expect(registry.asked()).toEqual(["HEAD"]);
});

test("a registry that gives no answer at all is unreachable", async () => {
  await using registry = await stage(breaksOff, breaksOff);
  await expect(registry.ask()).rejects.toThrow(RegistryUnreachable);
});

test("an abort keeps its reason", async () => {
  await using registry = await stage(silent, silent);
  const gone = AbortSignal.abort(new Error("enough"));
  await expect(registry.probe.ask(repository, blob.ref.digest, { auth, signal: gone })).rejects.toThrow("enough");
});
