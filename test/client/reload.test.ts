import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hash } from "bcryptjs";
import pino from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, openClient } from "#client/client.ts";
import { type ClientOptions, openParts } from "#client/parts.ts";
import { readClientConfig } from "#client/registries/config.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { parseName } from "#ndn/packet/name.ts";
import { SegmentProducer } from "#ndn/producer.ts";
import { formatCertificates } from "#ndn/trust/certificate-file.ts";
import { type Identity, openIdentity } from "#ndn/trust/keychain.ts";
import { Network } from "#oci/connections.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import { ask, begin } from "./endpoint.ts";
import { makeCertificate } from "./listener/certificates.ts";

const repository = "team/app";
const bytes = randomBytesOf("reloaded", 300_000);
const path = `/v2/${repository}/blobs/${digestOf(bytes)}`;

let folder: TemporaryFolder;
let owned: AsyncDisposableStack;
let one: TestRegistry;
let two: TestRegistry;
let file: string;
beforeEach(async () => {
  owned = new AsyncDisposableStack();
  folder = owned.use(await makeTemporaryFolder());
  [one, two] = await Promise.all([startRegistry(), startRegistry()]);
  for (const registry of [one, two]) {
    owned.defer(() => registry.close());
    registry.addBlob(repository, bytes);
    registry.addImage(repository, "latest", [bytes]);
  }
  file = join(folder.path, "client.yaml");
});
afterEach(() => owned.disposeAsync());

/** Each registry of the configuration, by its name, with its upstream and lines of its own. */
async function configure(registries: Readonly<Record<string, readonly [TestRegistry, ...string[]]>>): Promise<void> {
  const entries = Object.entries(registries).map(
    ([name, [{ url }, ...lines]]) =>
      `  ${name}:\n    upstream: ${url.href}\n${lines.map((line) => `    ${line}\n`).join("")}`,
  );
  await writeFile(file, `registries:\n${entries.join("")}`);
}

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly reason?: string;
  readonly changed?: readonly string[];
}

interface Opened {
  readonly client: Client;
  readonly url: URL;
  /** What the reload has logged. */
  reload: () => Promise<Line[]>;
}

async function start(options: Partial<ClientOptions> = {}): Promise<Opened> {
  const lines: Line[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  const uplink = new MemoryUplink(new SegmentProducer(parseName("/nothing"), { lookup: () => undefined }));
  const ndn = new UplinkBlobs([uplink], { maxWindow: 64 }, log);
  const readConfig = () => readClientConfig(file, { env: {} });
  const parts = await openParts({
    config: readConfig(),
    readConfig,
    ndn,
    metrics: new Registry(),
    log,
    version: "1",
    listen: [{ host: "127.0.0.1", port: 0 }],
    cacheDir: join(folder.path, "cache"),
    cacheSize: 0,
    tagTimeoutMs: 4_000,
    limitUpstream: undefined,
    limitNdn: undefined,
    hedge: "off",
    maxConnections: 100,
    tls: undefined,
    htpasswd: undefined,
    statusFor: "local",
    statusHost: [],
    env: {},
    ...options,
  });
  const client = await openClient(parts);
  owned.defer(async () => {
    await client.close(0);
    ndn.close();
  });
  return {
    client,
    url: new URL(client.url),
    async reload() {
      lines.length = 0;
      await client.reload();
      return [...lines];
    },
  };
}

describe("the configuration is read again", () => {
  test.each([
    ["without a cache", 0],
    ["with one", 1e8],
  ])("registries come, go and change, %s", async (_what, cacheSize) => {
    await configure({ "one.example": [one] });
    const { url, reload } = await start({ cacheSize });
    const statusOf = async (name: string) => (await ask(url, `${path}?ns=${name}`)).status;
    expect(await statusOf("one.example")).toBe(200);
    expect(await statusOf("two.example")).toBe(404);

    await configure({ "one.example": [one], "two.example": [two] });
    expect(await reload()).toEqual([
      expect.objectContaining({
        msg: "reloaded",
        registries: ["one.example", "two.example"],
        changed: ["two.example"],
      }),
    ]);
    expect([await statusOf("one.example"), await statusOf("two.example")]).toEqual([200, 200]);

    await configure({ "one.example": [two] });
    const [last] = (await reload()).slice(-1);
    expect(last!.changed).toEqual(["one.example", "two.example"]);
    const before = two.requests.length;
    expect((await ask(url, `/v2/${repository}/manifests/latest?ns=one.example`)).status).toBe(200);
    expect(two.requests.length).toBeGreaterThan(before);
    expect(await statusOf("two.example")).toBe(404);
    const page = JSON.parse((await ask(url, "/-/status.json")).body.toString()) as { registries: { name: string }[] };
    expect(page.registries.map(({ name }) => name)).toEqual(["one.example"]);
  });

  test("a download that runs ends as it began, and its registry is closed after that", async () => {
    const large = randomBytesOf("large", 40_000_000);
    one.addBlob(repository, large);
    await configure({ "one.example": [one] });
    const { url, reload } = await start();
    const answer = await begin(url, `/v2/${repository}/blobs/${digestOf(large)}`);
    await once(answer, "readable");
    await configure({ "one.example": [two] });
    await reload();
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).equals(large)).toBe(true);
    expect((await ask(url, `/v2/${repository}/blobs/${digestOf(large)}`)).status).toBe(404);
  });

  test("with nothing changed the registries stay as they are, also a hundred times", async () => {
    await configure({ "one.example": [one, "name: /one"] });
    const { client, url } = await start();
    const sockets = () => one.requests.length;
    await ask(url, path);
    const before = sockets();
    await Promise.all(Array.from({ length: 100 }, () => client.reload()));
    expect(sockets()).toBe(before);
    expect((await ask(url, path)).status).toBe(200);
  });
});

describe("what cannot be used is one line, and what was there before stays in use", () => {
  test.each([
    ["not YAML", "registries: {", /client\.yaml:1:\d+: /],
    ["two mistakes", "registries:\n  one.example:\n    upsteam: a\n    offline: b\n", /upstream\?; .*offline/],
    [
      "an anchor that is none",
      "registries:\n  one.example:\n    name: /a\n    anchors: [client.yaml]\n",
      /anchor .*client\.yaml/,
    ],
    ["no file", undefined, /client\.yaml: cannot be read/],
  ])("%s", async (_what, text, reason) => {
    await configure({ "one.example": [one] });
    const { url, reload } = await start();
    if (text === undefined) await rename(file, `${file}.away`);
    else await writeFile(file, text);
    const lines = await reload();
    expect(lines).toEqual([
      expect.objectContaining({ level: 50, msg: "the configuration cannot be used; the old one stays in use" }),
    ]);
    expect(lines[0]!.reason).toMatch(reason);
    expect(lines[0]!.reason).not.toContain("\n");
    expect((await ask(url, path)).status).toBe(200);
    await configure({ "one.example": [two] });
    expect((await reload()).at(-1)).toMatchObject({ msg: "reloaded", changed: ["one.example"] });
  });

  test("authorities of registries: a wrong file keeps the old ones, another one is used for all of them", async () => {
    const upstreamCa = join(folder.path, "ca.pem");
    const read = vi.fn(() => new Network());
    await writeFile(upstreamCa, "first");
    await configure({ "one.example": [one], "two.example": [two] });
    const { url, reload } = await start({ upstreamCa, readNetwork: read });
    read.mockImplementationOnce(() => {
      throw new Error("--upstream-ca: it has no certificate");
    });
    expect(await reload()).toEqual([expect.objectContaining({ reason: "--upstream-ca: it has no certificate" })]);
    expect((await reload()).at(-1)).toMatchObject({ msg: "reloaded", changed: [] });
    await writeFile(upstreamCa, "second");
    expect((await reload()).at(-1)).toMatchObject({ msg: "reloaded", changed: ["one.example", "two.example"] });
    expect((await ask(url, path)).status).toBe(200);
  });

  test("logins: a wrong file keeps the old ones, a right one holds at once", async () => {
    const htpasswd = join(folder.path, "htpasswd");
    await writeFile(htpasswd, `ann:${await hash("pw", 4)}\n`);
    await configure({ "one.example": [one] });
    const { url, reload } = await start({ htpasswd });
    const statusOf = async (login: string) =>
      (await ask(url, path, { headers: { authorization: `Basic ${btoa(login)}` } })).status;
    expect([await statusOf("ann:pw"), await statusOf("bob:pw")]).toEqual([200, 401]);
    await writeFile(htpasswd, "bob:pw\n");
    expect((await reload())[0]).toMatchObject({ level: 40, msg: "htpasswd cannot be used; the old logins hold" });
    expect(await statusOf("ann:pw")).toBe(200);
    await writeFile(htpasswd, `bob:${await hash("pw", 4)}\n`);
    expect((await reload())[0]!.msg).toBe("htpasswd reloaded");
    expect([await statusOf("ann:pw"), await statusOf("bob:pw")]).toEqual([401, 200]);
  });
});

describe("anchors", () => {
  async function identityOf(name: string): Promise<Identity> {
    return openIdentity(join(folder.path, name), parseName("/one"));
  }

  test("another certificate in the same file is loaded, a file without one keeps the old", async () => {
    const [first, second] = [await identityOf("first"), await identityOf("second")];
    const anchor = join(folder.path, "one.ndncert");
    const write = ({ certificate }: Identity) => writeFile(anchor, formatCertificates([{ wire: certificate }]));
    await write(first);
    await configure({ "one.example": [one, "name: /one", "anchors: [one.ndncert]"] });
    const { reload } = await start();
    await write(second);
    expect(await reload()).toEqual([
      expect.objectContaining({ anchors: [expect.objectContaining({ digest: second.digest })] }),
      expect.objectContaining({ msg: "reloaded", changed: ["one.example"] }),
    ]);
    await writeFile(anchor, "nothing");
    expect(await reload()).toEqual([
      expect.objectContaining({ level: 50, reason: expect.stringContaining("one.ndncert") }),
    ]);
    await write(second);
    expect(await reload()).toEqual([expect.objectContaining({ msg: "reloaded", changed: [] })]);
  });
});

describeWith(["openssl"], "the certificate of the endpoint", () => {
  test("is another one at once; a broken file keeps the old one", async () => {
    const { certFile, keyFile } = await makeCertificate(folder.path, "first");
    const other = await makeCertificate(folder.path, "other");
    await configure({ "one.example": [one] });
    const { client, reload } = await start({ tls: { certFile, keyFile } });
    const name = () => subjectAt(Number(new URL(client.url).port));
    expect(await name()).toBe("first");
    await writeFile(certFile, "broken");
    expect((await reload())[0]).toMatchObject({ level: 40, msg: "TLS files cannot be used; the old ones stay in use" });
    expect(await name()).toBe("first");
    await rename(other.certFile, certFile);
    await rename(other.keyFile, keyFile);
    expect((await reload())[0]!.msg).toBe("TLS certificate reloaded");
    await until("the other certificate", async () => (await name()) === "other");
  });
});

async function subjectAt(port: number): Promise<string> {
  const { connect } = await import("node:tls");
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}
