import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import fastify, { type FastifyInstance } from "fastify";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addAdminRoutes, type CacheAdmin, type Verified, type VerifyProgress } from "#client/http/admin-routes.ts";
import { parseSha256 } from "#oci/reference.ts";
import { ask, begin, beginWith } from "./admin.ts";

const digest = parseSha256(`sha256:${"a".repeat(64)}`)!;
const change = { "x-ndn-registry": "1" };

let app: FastifyInstance;
let base: URL;
let calls: string[];
let warned: string[];
/** Replaced by tests that need another one. */
let verify: CacheAdmin["verify"];

beforeEach(async () => {
  calls = [];
  verify = async () => ({ checked: 0, bad: [] });
  app = fastify();
  warned = [];
  const log = pino({ level: "warn" }, { write: (line) => void warned.push(line) });
  const cache: CacheAdmin = {
    usedBytes: 12,
    maxBytes: 100,
    list: () => [{ digest, sizeBytes: 12, lastUsedAt: Date.UTC(2026, 0, 2) }],
    async delete(each) {
      calls.push(`delete ${each}`);
      return each === digest;
    },
    verify: (onProgress, signal) => verify(onProgress, signal),
    async prune(toBytes) {
      calls.push(`prune ${toBytes}`);
      return { removed: 1, freedBytes: 12 };
    },
  };
  addAdminRoutes(app, cache, log);
  await app.listen({ port: 0, host: "127.0.0.1" });
  base = new URL(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
});
afterEach(() => app.close());

test("a program on this machine sees what is cached", async () => {
  const { status, headers, body } = await ask(base, "/-/cache");
  expect([status, headers["cache-control"]]).toEqual([200, "no-store"]);
  expect(JSON.parse(body)).toEqual({
    usedBytes: 12,
    maxBytes: 100,
    blobs: [{ digest, sizeBytes: 12, lastUsedAt: "2026-01-02T00:00:00.000Z" }],
  });
});

test("a blob is deleted once, and a digest that is none is refused", async () => {
  const options = { method: "DELETE", headers: change };
  expect((await ask(base, `/-/cache/${digest}`, options)).status).toBe(204);
  const unknown = await ask(base, `/-/cache/sha256:${"b".repeat(64)}`, options);
  expect([unknown.status, JSON.parse(unknown.body).errors[0].code]).toEqual([404, "BLOB_UNKNOWN"]);
  expect((await ask(base, "/-/cache/sha256:..%2f..%2fetc", options)).status).toBe(400);
  expect(calls).toHaveLength(2);
});

test("a budget is a whole number of bytes", async () => {
  const options = { method: "POST", headers: change };
  const { status, body } = await ask(base, "/-/cache/prune?to=0", options);
  expect([status, JSON.parse(body)]).toEqual([200, { removed: 1, freedBytes: 12 }]);
  for (const query of ["", "?to=", "?to=-1", "?to=1e3", "?to=1&to=2", `?to=${"9".repeat(20)}`]) {
    expect((await ask(base, `/-/cache/prune${query}`, options)).status).toBe(400);
  }
  expect(calls).toEqual(["prune 0"]);
});

describe("403, and nothing is done, for", () => {
  test.each<[string, Record<string, string>]>([
    ["a name that was bound to this machine by somebody else (DNS rebinding)", { host: "evil.example" }],
    ["a name that begins like ours", { host: "127.0.0.1.evil.example" }],
    ["a name that ends like ours", { host: "evil.localhost.example:5000" }],
    ["an address of another machine", { host: "192.0.2.1:5000" }],
    ["a page of another site", { origin: "https://evil.example" }],
    ["a page without an origin", { origin: "null" }],
    ["a page on another port", { origin: "http://127.0.0.1:1" }],
    ["what a browser sends for another site", { "sec-fetch-site": "cross-site" }],
    ["what a browser sends for another port", { "sec-fetch-site": "same-site" }],
    ["a proxy on this machine", { "x-forwarded-for": "192.0.2.1" }],
  ])("%s", async (_what, headers) => {
    for (const [method, path] of [
      ["GET", "/-/cache"],
      ["DELETE", `/-/cache/${digest}`],
      ["POST", "/-/cache/prune?to=0"],
      ["POST", "/-/cache/verify"],
    ] as const) {
      const answer = await ask(base, path, { method, headers: { ...change, ...headers } });
      expect([answer.status, JSON.parse(answer.body).errors[0].code]).toEqual([403, "DENIED"]);
      expect(answer.body).not.toContain(digest);
    }
    expect(calls).toEqual([]);
  });

  test("a change without the header that forms cannot send", async () => {
    for (const headers of [{}, { "x-ndn-registry": "0" }, { "content-type": "text/plain" }]) {
      expect((await ask(base, "/-/cache/prune?to=0", { method: "POST", headers })).status).toBe(403);
      expect((await ask(base, `/-/cache/${digest}`, { method: "DELETE", headers })).status).toBe(403);
    }
    expect(calls).toEqual([]);
  });
});

test("every name of this machine will do, and so will our own page", async () => {
  for (const host of ["localhost", "LOCALHOST:5000", "127.0.0.1:1", "127.1.2.3", "[::1]:5000"]) {
    expect((await ask(base, "/-/cache", { headers: { host } })).status).toBe(200);
  }
  const page = { origin: base.origin, "sec-fetch-site": "same-origin", ...change };
  expect((await ask(base, "/-/cache/prune?to=1", { method: "POST", headers: page })).status).toBe(200);
});

test("a peer that is not on this machine is refused, whatever it calls us", async () => {
  await using remote = await beginWith(app, "203.0.113.9");
  expect((await ask(remote.url, "/-/cache", { headers: { host: "127.0.0.1" } })).status).toBe(403);
});

describe("a verification", () => {
  const start = { method: "POST", headers: change };
  /** One that goes on until the test says so. */
  function cached() {
    const [outcome, started] = [Promise.withResolvers<Verified>(), Promise.withResolvers<AbortSignal>()];
    let progress: (progress: VerifyProgress) => void = () => {};
    verify = (onProgress, signal) => {
      progress = onProgress;
      started.resolve(signal);
      signal.addEventListener("abort", () => outcome.reject(signal.reason));
      return outcome.promise;
    };
    return { outcome, started: started.promise, progress: (at: VerifyProgress) => progress(at) };
  }

  test("tells how far it is, and ends with the outcome", async () => {
    const running = cached();
    const answer = await begin(base, "/-/cache/verify", start);
    await running.started;
    running.progress({ checked: 1, total: 2 });
    const lines = createInterface({ input: answer })[Symbol.asyncIterator]();
    expect(JSON.parse((await lines.next()).value as string)).toEqual({ checked: 1, total: 2 });
    running.outcome.resolve({ checked: 2, bad: [digest] });
    expect(JSON.parse((await lines.next()).value as string)).toEqual({ checked: 2, bad: [digest] });
    expect((await lines.next()).done).toBe(true);
  });

  test("ends when the endpoint is closed", async () => {
    const running = cached();
    const answer = await begin(base, "/-/cache/verify", start);
    const broken = expect(once(answer.resume(), "end")).rejects.toThrow(/aborted/);
    await running.started;
    await app.close();
    await broken;
    await expect(running.outcome.promise).rejects.toThrow();
  });

  test("is one at a time", async () => {
    const running = cached();
    const first = await begin(base, "/-/cache/verify", start);
    expect((await ask(base, "/-/cache/verify", start)).status).toBe(409);
    running.outcome.resolve({ checked: 0, bad: [] });
    await once(first.resume(), "end");
    verify = async () => ({ checked: 0, bad: [] });
    expect((await ask(base, "/-/cache/verify", start)).status).toBe(200);
  });

  test("ends when nobody waits for it any more", async () => {
    const running = cached();
    const answer = await begin(base, "/-/cache/verify", start);
    const signal = await running.started;
    answer.destroy();
    if (!signal.aborted) await once(signal, "abort");
    await expect(running.outcome.promise).rejects.toBe(signal.reason);
    expect(warned).toEqual([]);
  });

  test("that fails is broken off, not ended", async () => {
    const running = cached();
    const answer = await begin(base, "/-/cache/verify", start);
    running.outcome.reject(new Error("disk gone"));
    await expect(once(answer.resume(), "end")).rejects.toThrow(/aborted/);
    expect(warned).toEqual([expect.stringContaining("disk gone")]);
  });
});
