import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { parseSha256 } from "#oci/digest.ts";
import { RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";

const digest = parseSha256(`sha256:${"0".repeat(64)}`)!;
const auth = { kind: "puller", value: "Bearer puller" } as const;
const signal = AbortSignal.timeout(60_000);
const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

async function stage(answer: RequestListener): Promise<RegistryClient> {
  const base = new URL(`http://127.0.0.1:${await serve(answer)}`);
  const client = new RegistryClient({ base, credentials: { username: "ann", password: "pw" } });
  open.push(() => client.close());
  return client;
}

test("five redirects are followed, Authorization stays on the same origin", async () => {
  const seen: (string | undefined)[] = [];
  const client = await stage((req, res) => {
    seen.push(req.headers.authorization);
    if (seen.length === 6) return res.end("here");
    return res.writeHead(302, { location: `hop-${seen.length}` }).end("moved");
  });
  const { body } = await client.getBlob("a", digest, { auth, signal });
  expect(await text(body)).toBe("here");
  expect(seen).toEqual(Array.from({ length: 6 }, () => "Bearer puller"));
});

test.each(["GET", "HEAD"])("to another origin goes only what says what is wanted (%s)", async (method) => {
  const seen: IncomingHttpHeaders[] = [];
  const port = await serve((req, res) => {
    seen.push(req.headers);
    res.end();
  });
  const client = await stage((req, res) => {
    seen.push(req.headers);
    res.writeHead(307, { location: req.url!.startsWith("/near") ? `http://localhost:${port}/` : "/near" }).end();
  });
  const says = { cookie: "secret=1", "x-api-key": "secret", "cf-access-client-id": "secret", via: "1.1 inner" };
  const wants = { accept: "a/b", "accept-language": "de", "user-agent": "docker/28" };
  const sent = { headers: { ...says, ...wants }, query: "?key=secret" };
  const options = { auth: { ...auth, sent }, signal };
  const isGet = method === "GET";
  if (isGet) await text((await client.getBlob("a", digest, { ...options, range: { start: 7 } })).body);
  else await client.headBlob("a", digest, options);
  const range = isGet ? { range: "bytes=7-" } : {};
  const all = { ...wants, ...range, "accept-encoding": "identity" };
  const [home, near, far] = seen;
  for (const one of [home, near]) expect(one).toMatchObject({ ...says, ...all, authorization: "Bearer puller" });
  expect(far).toEqual({ ...all, host: `localhost:${port}`, connection: expect.any(String) });
});

test("a loop ends after five redirects", async () => {
  let asked = 0;
  const client = await stage((_req, res) => {
    asked++;
    res.writeHead(307, { location: "/again" }).end();
  });
  await expect(client.headBlob("a", digest, { auth, signal })).rejects.toThrow("more than 5 redirects");
  expect(asked).toBe(6);
});

test.each(["ftp://host/blob", "file:///etc/passwd", "http://", undefined])(
  "a redirect to %s is not followed",
  async (location) => {
    const client = await stage((_req, res) => void res.writeHead(307, location ? { location } : {}).end());
    await expect(client.getBlob("a", digest, { auth, signal })).rejects.toThrow(RegistryUnreachable);
  },
);

test("a challenge from where a redirect led is for no one to answer", async () => {
  let asked = 0;
  const port = await serve((_req, res) => {
    asked++;
    res.writeHead(401, { "www-authenticate": 'Basic realm="phishing"' }).end();
  });
  const client = await stage((_req, res) => void res.writeHead(307, { location: `http://localhost:${port}/` }).end());
  expect((await client.headBlob("a", digest, { auth: { kind: "login" }, signal })).status).toBe(401);
  expect(asked).toBe(1);
});
