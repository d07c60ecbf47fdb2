import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { Agent, MockAgent } from "undici";
import { afterAll, expect, test } from "vitest";
import type { Credentials } from "#oci/credentials.ts";
import { fetchToken } from "#oci/token-service.ts";
import { startUpstream } from "../client/upstream/raw-upstream.ts";

const login: Credentials = { username: "ann", password: "pw" };
const identity: Credentials = { identityToken: "id-secret" };
const token = JSON.stringify({ token: "T", expires_in: 300 });
const dispatcher = new Agent();
afterAll(() => dispatcher.close());

/** The token that a service gives whose realm is `/auth`. */
async function askAt(realm: URL, credentials?: Credentials): Promise<string | undefined> {
  const query = { realm: new URL("/auth", realm), service: "r", scopes: ["repository:a:pull"] };
  return (await fetchToken(dispatcher, query, credentials))?.value;
}

/** A service that redirects `/auth` with this status, and gives the token where that leads. */
function redirecting(status: number, location: (request: IncomingMessage) => string) {
  return (request: IncomingMessage, response: ServerResponse) =>
    request.url!.startsWith("/auth?") || request.url === "/auth"
      ? void response.writeHead(status, { location: location(request) }).end("moved")
      : void response.end(token);
}

test.each([301, 302, 303, 307, 308])("a redirect by %i is followed, with a login on the same host", async (status) => {
  await using service = await startUpstream(redirecting(status, ({ url }) => `/there${url!.slice("/auth".length)}`));
  expect([await askAt(service.url), await askAt(service.url, login)]).toEqual(["T", "T"]);
  expect(service.seen.map(({ url }) => url)).toEqual(
    Array.from({ length: 2 }, () =>
      ["/auth", "/there"].map((path) => `${path}?service=r&scope=repository%3Aa%3Apull`),
    ).flat(),
  );
  expect(service.seen.map(({ headers }) => headers.authorization)).toEqual([
    undefined,
    undefined,
    "Basic YW5uOnB3",
    "Basic YW5uOnB3",
  ]);
});

test.each([
  [301, "POST"],
  [307, "POST"],
  [303, "GET"],
])("the form with an identity token is redirected by %i as a %s", async (status, method) => {
  const forms: string[] = [];
  await using service = await startUpstream((request, response) => {
    if (request.url === "/auth") return void response.writeHead(status, { location: "/there" }).end();
    return void text(request).then((form) => {
      forms.push(form);
      response.end(token);
    });
  });
  expect(await askAt(service.url, identity)).toBe("T");
  expect(service.seen.map((request) => request.method)).toEqual(["POST", method]);
  expect(forms[0]?.includes("id-secret")).toBe(method === "POST");
});

test("no login follows a redirect to another host, a question without one does", async () => {
  await using other = await startUpstream((_, response) => void response.end(token));
  const elsewhere = other.url.href.replace("127.0.0.1", "localhost");
  await using service = await startUpstream(redirecting(307, () => elsewhere));
  await expect(askAt(service.url, login)).rejects.toThrow("no login goes to another host");
  await expect(askAt(service.url, identity)).rejects.toThrow("no login goes to another host");
  expect(other.seen).toEqual([]);
  expect(await askAt(service.url)).toBe("T");
});

test.each([undefined, login])("no redirect leads from https to http, login: %j", async (credentials) => {
  const mock = new MockAgent();
  mock.disableNetConnect();
  const headers = { location: "http://auth.example/token" };
  mock
    .get("https://auth.example")
    .intercept({ path: () => true })
    .reply(302, "", { headers });
  const query = { realm: new URL("https://auth.example/token"), service: undefined, scopes: [] };
  await expect(fetchToken(mock, query, credentials)).rejects.toThrow("which is not https");
  await mock.close();
});

test.each(["/auth", "ftp://host/", "http://"])("a redirect to %s has no end, or leads nowhere", async (location) => {
  await using service = await startUpstream(redirecting(302, () => location));
  await expect(askAt(service.url)).rejects.toThrow(location === "/auth" ? "more than 5 redirects" : "nowhere");
  expect(service.seen).toHaveLength(location === "/auth" ? 6 : 1);
});

test.each([
  ["gzip", gzipSync],
  ["X-GZIP", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
  ["identity", (bytes: Buffer) => bytes],
] as const)("an answer that is encoded as %s is read", async (coding, encode) => {
  await using service = await startUpstream((_, response) => {
    response.writeHead(200, { "content-encoding": coding }).end(encode(Buffer.from(token)));
  });
  expect(await askAt(service.url)).toBe("T");
});

test.each([
  ["gzip", gzipSync(Buffer.alloc(100 << 20)), /longer than 1048576 bytes/],
  ["gzip", Buffer.from(token), /header/],
  ["zip", Buffer.from(token), /encoded as zip/],
])("an answer in %s that cannot be read is a failure of the service", async (coding, bytes, reason) => {
  await using service = await startUpstream((_, response) => {
    response.writeHead(200, { "content-encoding": coding }).end(bytes);
  });
  await expect(askAt(service.url)).rejects.toThrow(reason);
});

test.each([200, 201, 203])("any success with a token will do: %i", async (status) => {
  await using service = await startUpstream((_, response) => void response.writeHead(status).end(token));
  expect(await askAt(service.url)).toBe("T");
});
