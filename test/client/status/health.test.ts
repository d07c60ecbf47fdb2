import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openClient } from "#client/client.ts";
import { readTls } from "#client/listener/tls.ts";
import { openParts } from "#client/parts.ts";
import { singleRegistry } from "#client/registries/client-config.ts";
import type { Readiness } from "#client/status/health.ts";
import type { StatusSnapshot } from "#client/status/snapshot.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { SocketUplink, type Uplink } from "#ndn/face/uplink.ts";
import { parseName } from "#ndn/packet/name.ts";
import { formatCertificates } from "#ndn/trust/certificate-file.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { makeIdentity } from "#test/publish/identity.ts";
import { prefix, type Serving, serve } from "#test/publish/serving.ts";
import { freePort } from "#test/support/free-port.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

let [registry, serving, identity]: [TestRegistry, Serving, Identity] = [] as never;
let folder: TemporaryFolder;
let owned: AsyncDisposableStack;

beforeAll(async () => {
  registry = await startRegistry();
  folder = await makeTemporaryFolder();
  identity = await makeIdentity(prefix);
  serving = await serve(registry, { identity });
});
afterAll(async () => {
  await serving[Symbol.asyncDispose]();
  await registry.close();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  owned = new AsyncDisposableStack();
});
afterEach(() => owned.disposeAsync());

interface Wish {
  /** @defaultValue the one registry */
  upstream?: URL | "none";
  name?: string;
  anchor?: Identity;
  /** @defaultValue the one server */
  over?: Uplink | "nothing";
}

/** A client, with what an operator may have got wrong. */
async function startClient({ upstream = registry.url, name = "/test/registry", anchor, over }: Wish) {
  const lines: { level: number; msg: string; missing?: string[] }[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) });
  const uplinks = over === "nothing" ? [] : [over ?? new MemoryUplink(serving.server.producer)];
  const ndn = new UplinkBlobs(uplinks, { maxWindow: 64 }, log);
  const file = join(folder.path, "anchor");
  if (anchor) await writeFile(file, formatCertificates([{ wire: anchor.certificate }]));
  const parts = await openParts({
    config: singleRegistry({
      name: parseName(name),
      upstream: upstream === "none" ? undefined : upstream,
      anchors: anchor ? [file] : [],
    }),
    readConfig: () => Promise.reject(new Error("it is not read again")),
    ndn,
    metrics: new Registry(),
    log,
    version: "1",
    listen: [{ host: "127.0.0.1", port: 0 }],
    cacheDir: folder.path,
    cacheSize: 0,
    tagTimeoutMs: 4_000,
    limitUpstream: undefined,
    limitNdn: undefined,
    hedge: "auto",
    maxConnections: 10,
    tls: undefined,
    htpasswd: undefined,
    statusFor: "local",
    statusHost: [],
    env: {},
  });
  const client = await openClient(parts);
  ndn.open();
  owned.defer(async () => {
    await client.close(0);
    ndn.close();
  });
  const get = async <T>(path: string) => (await (await fetch(client.url + path)).json()) as T;
  return {
    lines,
    warnings: () => lines.filter(({ missing }) => missing !== undefined),
    status: async () => (await fetch(`${client.url}/readyz`)).status,
    readyz: () => get<Readiness>("/readyz"),
    snapshot: () => get<StatusSnapshot>("/-/status.json"),
  };
}

async function upstreamOf(answer: RequestListener): Promise<URL> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  owned.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

test("with everything in its place nothing is missing, with and without an anchor", async () => {
  for (const wish of [{}, { anchor: identity }]) {
    const client = await startClient(wish);
    expect(await client.readyz()).toEqual({ ready: true, missing: [] });
    const { registries, missing } = await client.snapshot();
    expect(registries[0]?.health).toEqual({
      name: registry.host,
      upstream: "answers",
      upstreamTrouble: null,
      ndn: "answers",
      ndnTrouble: null,
      prefix: "/test/registry",
    });
    expect(missing).toEqual([]);
  }
});

test("without an upstream nothing is missing while the server answers, and nothing can be served while it does not", async () => {
  const client = await startClient({ upstream: "none", anchor: identity });
  expect(await client.readyz()).toEqual({ ready: true, missing: [] });
  const { registries } = await client.snapshot();
  expect(registries[0]).toMatchObject({ upstream: "none", health: { upstream: "off", ndn: "answers" } });
  const silent = await startClient({ upstream: "none", anchor: identity, name: "/nobody/here" });
  expect(await silent.readyz()).toMatchObject({ ready: false, missing: [expect.stringMatching(/no one answers/)] });
});

test("a registry that is not there is named with the reason, and pulls may come over NDN", async () => {
  const client = await startClient({ upstream: new URL(`http://127.0.0.1:${await freePort()}/`) });
  const { ready, missing } = await client.readyz();
  expect([ready, missing]).toEqual([
    true,
    [expect.stringMatching(/^upstream http:.* cannot be reached: nothing listens there/)],
  ]);
});

test.each([
  ["fails", false, (_, response) => void response.writeHead(502).end(), /answers 502$/],
  [
    "is no registry",
    true,
    (_, response) => void response.writeHead(404).end(),
    /answers 404 to \/v2\/: is it a registry\?$/,
  ],
  [
    "is a web server",
    true,
    (_, response) => void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<p>"),
    /answers 200 with a web page to \/v2\/: is it a registry\?$/,
  ],
  ["hangs", false, () => {}, /cannot be reached: no answer in time$/],
  [
    "closes connections",
    false,
    (request) => void request.socket.destroy(),
    /cannot be reached: it closes the connection: is it https:\/\/\?$/,
  ],
] as [string, boolean, RequestListener, RegExp][])(
  "an upstream that %s is named",
  { timeout: 20_000 },
  async (_, isReady, answer, text) => {
    const client = await startClient({ upstream: await upstreamOf(answer), over: "nothing" });
    const { ready, missing } = await client.readyz();
    expect([ready, missing]).toEqual([isReady, [expect.stringMatching(text)]]);
    expect(await client.status()).toBe(isReady ? 200 : 503);
  },
);

test("a registry that wants a login is there", async () => {
  const upstream = await upstreamOf((_, response) => void response.writeHead(401).end());
  expect(await (await startClient({ upstream })).readyz()).toEqual({ ready: true, missing: [] });
});

test("a certificate that is not trusted is named, and so is TLS where there is none", async () => {
  const tls = readTls(await makeCertificate(folder.path, "self-signed")).options;
  const server = createTlsServer(tls, (_, response) => void response.end("{}")).listen(0, "127.0.0.1");
  await once(server, "listening");
  owned.defer(() => void server.close());
  const secure = await startClient({
    upstream: new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`),
  });
  expect((await secure.readyz()).missing[0]).toMatch(/cannot be reached: its certificate is self-signed/);
  const plain = await startClient({ upstream: new URL(`https://${registry.host}/`) });
  expect((await plain.readyz()).missing[0]).toMatch(/cannot be reached: it does not speak TLS: is it http:\/\/\?/);
});

test("a wrong name is named: no one answers for it", { timeout: 20_000 }, async () => {
  const client = await startClient({ name: "/test/regsitry" });
  const { ready, missing } = await client.readyz();
  expect([ready, missing]).toEqual([
    true,
    [
      expect.stringMatching(
        /^NDN: no one answers for \/test\/regsitry: is the server running, is --name the same there/,
      ),
    ],
  ]);
  expect((await client.snapshot()).registries[0]?.health).toMatchObject({ ndn: "silent" });
});

test("an uplink that is down is named with the reason, and pulls come from the upstream", async () => {
  const down = new SocketUplink(parseFaceUrl("unix:///not/there.sock"));
  const client = await startClient({ over: down });
  await until("the reason", async () => (await client.readyz()).missing[0]?.includes("there is no such socket"));
  const { ready, missing } = await client.readyz();
  expect([ready, missing]).toEqual([
    true,
    [expect.stringMatching(/^uplink unix:\/\/\/not\/there.sock is down: there is no/)],
  ]);
  expect((await client.snapshot()).registries[0]?.health).toMatchObject({ upstream: "answers", ndn: "down" });
});

test("an anchor of another server is named", { timeout: 20_000 }, async () => {
  const client = await startClient({ anchor: await makeIdentity(prefix) });
  const { ready, missing } = await client.readyz();
  expect([ready, missing]).toEqual([
    true,
    [expect.stringMatching(/^NDN: the anchor does not fit the server's certificate .* compare with ndn-registry key/)],
  ]);
});

test("a server whose certificate speaks for more than the registry is not called silent", {
  timeout: 20_000,
}, async () => {
  const above = await makeIdentity(parseName("/test"));
  const face = parseFaceUrl(`tcp://127.0.0.1:${await freePort()}`);
  await using _issued = await serve(registry, { identity: above, faces: [face] });
  const client = await startClient({ over: new SocketUplink(face) });
  await until("the face is up", async () => (await client.readyz()).missing.length === 0);
  expect(await client.readyz()).toEqual({ ready: true, missing: [] });
});

test("one warning says what is wrong, and one line that it is over", { timeout: 20_000 }, async () => {
  let status = 503;
  const client = await startClient({
    upstream: await upstreamOf((_, response) => void response.writeHead(status).end()),
  });
  await until("the warning", () => client.warnings().length > 0);
  for (let i = 0; i < 3; i++) await client.readyz();
  expect(client.warnings()).toMatchObject([{ level: 40, missing: [expect.stringMatching(/answers 503$/)] }]);
  status = 200;
  await until("the end of it", async () => (await client.readyz()).missing.length === 0);
  await client.readyz();
  expect(client.lines.filter(({ msg }) => msg === "everything works again")).toHaveLength(1);
  expect(client.warnings()).toHaveLength(1);
});

test("a server says that its registry is not there, in one warning and in /readyz", async () => {
  const gone = await startRegistry();
  const face = parseFaceUrl(`tcp://127.0.0.1:${await freePort()}`);
  const port = await freePort();
  await using server = await serve(gone, { faces: [face], status: { host: "127.0.0.1", port } });
  await gone.close();
  server.server.lookAtRegistry();
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([answer.status, await answer.json()]).toEqual([
    200, // it can be reached, and what pullers ask for then comes from their upstream
    { ready: true, missing: [expect.stringMatching(/^registry http:.* cannot be reached: nothing listens there/)] },
  ]);
  expect(server.log.filter(({ level }) => level === 40)).toMatchObject([
    { msg: expect.stringMatching(/is of no use: its blobs cannot be published$/) },
  ]);
});
