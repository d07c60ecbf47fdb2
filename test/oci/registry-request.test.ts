import { createServer, type RequestListener } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { type Auth, RegistryClient, type RegistryClientOptions, RegistryUnreachable } from "#oci/registry-client.ts";
import { listening } from "#test/support/listening.ts";

const signal = AbortSignal.timeout(60_000);
const auth: Auth = { kind: "puller", value: undefined };
const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

async function stage(answer: RequestListener, options: Partial<RegistryClientOptions> = {}, basePath = "/") {
  const server = createServer(answer);
  const { port, close } = await listening(server, () => server.closeAllConnections());
  const client = new RegistryClient({ base: new URL(basePath, `http://127.0.0.1:${port}`), ...options });
  open.push(async () => {
    await Promise.all([close(), client.close()]);
  });
  return client;
}

test("the raw path goes below the base, with the caller's headers and never its Authorization", async () => {
  const seen: [string | undefined, unknown][] = [];
  const client = await stage(
    (req, res) => {
      seen.push([req.url, req.headers]);
      res.end("{}");
    },
    {},
    "/base/",
  );
  const headers = { Accept: "a/b, c/d", "Accept-Encoding": "gzip", Authorization: "Bearer x" };
  const { status, body } = await client.request("GET", "/v2/a%2Fb//tags/list?last=%20&n=1", { auth, headers, signal });
  expect([status, await text(body)]).toEqual([200, "{}"]);
  expect(seen).toEqual([
    [
      "/base/v2/a%2Fb//tags/list?last=%20&n=1",
      expect.objectContaining({ accept: "a/b, c/d", "accept-encoding": "gzip" }),
    ],
  ]);
  expect(seen[0]![1]).not.toHaveProperty("authorization");
});

test.each([
  "/v2/a/blobs/..%2fsecret",
  "/v2/a//tags/list",
  "/v2/a/./tags/list",
  "/v2/a/../b/tags/list",
  "/v2/a/tags/list/",
  "/v2/a/blobs/..",
  "/v2/a/blobs/uploads",
  "/v2/_catalog/",
])("a redirect from %s to another path is the puller's", async (path) => {
  const client = await stage((_req, res) => void res.writeHead(301, { location: "/v2/b/tags/list" }).end());
  const { status, headers, body } = await client.request("GET", path, { auth, signal });
  expect([status, headers.location, await text(body)]).toEqual([301, "/v2/b/tags/list", ""]);
});

test("redirects are followed, of whatever", async () => {
  const client = await stage((req, res) => {
    if (req.url === "/there") return res.end("there");
    return res.writeHead(307, { location: "/there" }).end();
  });
  for (const path of ["/v2/a/manifests/b", "/v2/a/tags/list?n=1", `/v2/a/blobs/sha512:${"0".repeat(128)}`]) {
    const { status, headers, body } = await client.request("GET", path, { auth, signal });
    expect([status, headers.location, await text(body)]).toEqual([200, undefined, "there"]);
  }
});

test("a connection that has died unseen is replaced once", async () => {
  let asked = 0;
  const client = await stage((req, res) => {
    asked++;
    if (asked === 2 || asked > 3) return void req.socket.destroy();
    return res.end("ok");
  });
  const get = async () => text((await client.request("GET", "/v2/a/tags/list", { auth, signal })).body);
  expect([await get(), await get()]).toEqual(["ok", "ok"]);
  await expect(get()).rejects.toThrow(RegistryUnreachable);
  expect(asked).toBe(5);
});

test("an answer that does not begin in time is no answer, unless one asks patiently", async () => {
  const answers: (() => void)[] = [];
  const client = await stage((_, res) => void answers.push(() => void res.end()), { headersTimeoutMs: 50 });
  const ask = (patientWith?: "answer") => client.request("HEAD", "/v2/a/manifests/b", { auth, signal, patientWith });
  const patient = ask("answer");
  await expect(ask()).rejects.toThrow(RegistryUnreachable);
  for (const answer of answers) answer();
  expect((await patient).status).toBe(200);
});

test("errors name the path and not the query", async () => {
  const client = await stage((req) => void req.socket.destroy());
  const failure = client
    .request("GET", "/v2/a/tags/list?token=secret", { auth, signal })
    .catch((err: Error) => err.message);
  expect(await failure).toMatch(/GET http:\/\/127\.0\.0\.1:\d+\/v2\/a\/tags\/list: /);
  expect(await failure).not.toContain("secret");
});
