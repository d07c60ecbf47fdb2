import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { refusalOf } from "#client/status/access.ts";
import type { StatusSnapshot } from "#client/status/snapshot.ts";
import { isStatusPath, statusPaths } from "#client/status/status-page.ts";
import { askManifest, beginBlob, digestOf, puller, request, startStatus } from "./stage.ts";

test("the snapshot has everything that the page shows, and no password", async () => {
  await using stage = await startStatus();
  const { pulls, metrics } = stage;
  stage.store = { usedBytes: 5, maxBytes: 10, blobs: 2 };
  metrics.rateLimit.set({ registry: "docker.io" }, 100);
  metrics.rateLimitRemaining.set({ registry: "docker.io" }, 76);
  metrics.blobBytes.inc({ source: "ndn" }, 30);
  for (const result of ["store", "follower", "miss", "miss", "bypass"]) metrics.blobRequests.inc({ result });
  askManifest(pulls, { ...puller, reference: "3.22", status: 200 });
  beginBlob(pulls, { ...puller, digest: digestOf("a") }).sized(7);
  const { status, headers, text } = await request(stage.url, "/-/status.json");
  expect([status, headers["cache-control"]]).toEqual([200, "no-store"]);
  expect(text).not.toContain("secret");
  expect(JSON.parse(text) as StatusSnapshot).toMatchObject({
    version: "1.2.3",
    listen: "http://127.0.0.1:5000",
    registries: [{ name: "docker.io", upstream: "https://registry.example", rateLimit: { limit: 100, remaining: 76 } }],
    live: [{ ...puller, digest: digestOf("a"), sizeBytes: 7 }],
    liveCount: 1,
    pulls: [{ reference: "3.22", outcome: "running" }],
    store: { usedBytes: 5, maxBytes: 10, blobs: 2 },
    uplinks: [],
    totals: { ndn: 30, upstream: 0, store: 0, peer: 0 },
    requests: { store: 1, follower: 1, miss: 2, bypass: 1 },
    hitRatio: 0.5,
  });
});

test("before anything was pulled there is no hit ratio, and no store is null", async () => {
  await using stage = await startStatus();
  const { text } = await request(stage.url, "/-/status.json");
  expect(JSON.parse(text)).toMatchObject({ hitRatio: null, store: null, live: [], pulls: [] });
});

test("the page's own paths are known from all others by the raw URL", () => {
  for (const url of ["/", "/?", "/?a=/v2/", "/-/status.json?now", "/-/main.js"])
    expect([url, isStatusPath(url)]).toEqual([url, true]);
  for (const url of ["", "/v2/", "/-/", "/-/../-/main.js", "//", "/%2d/main.js", "/-/page/../../main.js"])
    expect([url, isStatusPath(url)]).toEqual([url, false]);
});

test("every path of the page is served with a policy that lets nothing else in", async () => {
  await using stage = await startStatus();
  for (const path of statusPaths) {
    const { status, headers } = await request(stage.url, path);
    expect([path, status, headers["x-content-type-options"]]).toEqual([path, 200, "nosniff"]);
    const policy = headers["content-security-policy"];
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
  }
});

describe("the page is refused", () => {
  test("under a host name that a foreign page could have bound to this address", async () => {
    await using stage = await startStatus({ hostNames: ["Gateway.Example"] });
    const statusOf = async (host: string) => (await request(stage.url, "/-/status.json", { host })).status;
    for (const host of ["localhost:5000", "LOCALHOST", "a.localhost", "127.0.0.1", "[::1]:80", "gateway.example:5000"])
      expect([host, await statusOf(host)]).toEqual([host, 200]);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil/localhost", "a@b"])
      expect([host, await statusOf(host)]).toEqual([host, 421]);
  });

  test("to a proxy on this machine that speaks for others", async () => {
    await using stage = await startStatus();
    const { status, text } = await request(stage.url, "/", { "x-forwarded-for": "203.0.113.5" });
    expect([status, text]).toEqual([403, "the status page is for the machine that the gateway runs on\n"]);
  });

  test("to other machines, unless it is for everyone", async () => {
    expect(await refusalOf(from("192.0.2.1"), {})).toMatchObject({ status: 403 });
    expect(await refusalOf(from("127.0.0.1.evil"), {})).toMatchObject({ status: 403 });
    expect(await refusalOf(from("192.0.2.1"), { statusFor: "everyone" })).toBeUndefined();
    for (const address of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
      expect(await refusalOf(from(address), {})).toBeUndefined();
  });

  test("to other machines without a login, where there is one", async () => {
    const login = { admits: (value: string) => value === "Basic good", challenge: 'Basic realm="x"' };
    const refused = { status: 401, challenge: 'Basic realm="x"' };
    expect(await refusalOf(from("192.0.2.1"), { login })).toMatchObject(refused);
    expect(await refusalOf(from("192.0.2.1", "Basic bad"), { login })).toMatchObject(refused);
    expect(await refusalOf(from("192.0.2.1", "Basic good"), { login })).toBeUndefined();
    expect(await refusalOf(from("127.0.0.1"), { login })).toBeUndefined();
  });
});

function from(remoteAddress: string, authorization?: string): IncomingMessage {
  const headers = { host: "localhost:5000", ...(authorization !== undefined && { authorization }) };
  return { socket: { remoteAddress }, headers } as IncomingMessage;
}
