import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { HelpFailed } from "#oci/errors.ts";
import { parseSha256 } from "#oci/reference.ts";
import { RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import { listening } from "#test/support/listening.ts";

const digest = parseSha256(`sha256:${"0".repeat(64)}`)!;
const auth = { kind: "puller", value: "Bearer puller" } as const;
const signal = AbortSignal.timeout(60_000);
const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  const { port, close } = await listening(server, () => server.closeAllConnections());
  open.push(close);
  return port;
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
    res.writeHead(307, { location: req.url!.startsWith("/v2/near") ? `http://localhost:${port}/` : "/v2/near" }).end();
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

test("a challenge from where a redirect led is for the puller: it gets the redirect", async () => {
  let asked = 0;
  const port = await serve((_req, res) => {
    asked++;
    res.writeHead(401, { "www-authenticate": 'Basic realm="phishing"' }).end();
  });
  const location = `http://localhost:${port}/there?signature`;
  const client = await stage((_req, res) => void res.writeHead(307, { location, "x-own": "1" }).end("moved"));
  const failure = await client.getBlob("a", digest, { auth: { kind: "login" }, signal }).catch((err: unknown) => err);
  expect(failure).toBeInstanceOf(HelpFailed);
  const { answer, message } = failure as HelpFailed;
  expect(answer).toMatchObject({ status: 307, headers: { location, "x-own": "1" }, body: Buffer.from("moved") });
  expect(message).not.toContain("signature");
  expect(asked).toBe(1);
});

test("a redirect that cannot be followed is the puller's, with a Location that holds from anywhere", async () => {
  const client = await stage((req, res) => {
    if (req.url!.startsWith("/gone")) return void req.socket.destroy();
    return void res.writeHead(302, { location: "/gone/blob" }).end();
  });
  const failure = await client.headBlob("a", digest, { auth, signal }).catch((err: unknown) => err);
  const { headers } = (failure as HelpFailed).answer;
  expect(headers.location).toBe(new URL("/gone/blob", client.base).href);
});

/** Asks a registry at `/base` whose blobs lead to `location`, where `statusOf` decides; the Authorizations it was shown. */
async function followed(location: string, statusOf: (authorization: string | undefined) => number) {
  const seen: [string, string | undefined][] = [];
  const port = await serve((req, res) => {
    seen.push([req.url!, req.headers.authorization]);
    if (req.url!.includes("/blobs/")) return void res.writeHead(307, { location }).end();
    return void res.writeHead(statusOf(req.headers.authorization)).end();
  });
  const client = new RegistryClient({ base: new URL(`http://127.0.0.1:${port}/base`) });
  open.push(() => client.close());
  const { status } = await client.headBlob("a", digest, { auth, signal });
  return { status, there: seen.slice(1).map(([, authorization]) => authorization) };
}

test.each(["/storage/x?signature=1", "/v2/x", "/base/v2x/y", "/base/v2/../x", "/base/v2/%2e%2e/x"])(
  "Authorization does not go beside the registry's API, to %s, unless it is wanted there",
  async (location) => {
    const signed = (authorization: string | undefined) => (authorization === undefined ? 200 : 400);
    expect(await followed(location, signed)).toEqual({ status: 200, there: [undefined] });
    for (const refusal of [401, 403]) {
      const guarded = (authorization: string | undefined) => (authorization === undefined ? refusal : 200);
      expect(await followed(location, guarded)).toEqual({ status: 200, there: [undefined, "Bearer puller"] });
      expect(await followed(location, () => refusal)).toEqual({ status: refusal, there: [undefined, "Bearer puller"] });
    }
    expect(await followed(location, () => 404)).toEqual({ status: 404, there: [undefined] });
  },
);

test.each(["/base/v2/other/x", "../other"])(
  "Authorization stays within the registry's API, to %s",
  async (location) => {
    expect(await followed(location, () => 200)).toEqual({ status: 200, there: ["Bearer puller"] });
  },
);

test("Authorization does not come back by way of another origin", async () => {
  const seen: (string | undefined)[] = [];
  let home = "";
  const port = await serve((_req, res) => void res.writeHead(302, { location: `${home}v2/there` }).end());
  const client = await stage((req, res) => {
    seen.push(req.headers.authorization);
    if (req.url === "/v2/there") return void res.writeHead(401).end();
    return void res.writeHead(302, { location: `http://localhost:${port}/` }).end();
  });
  home = client.base.href;
  expect((await client.headBlob("a", digest, { auth, signal })).status).toBe(401);
  expect(seen).toEqual(["Bearer puller", undefined]);
});
