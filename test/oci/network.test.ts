import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { Network, type RegistryTls } from "#oci/connections.ts";
import { parseSha256 } from "#oci/reference.ts";
import { RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { listening } from "#test/support/listening.ts";
import { startProxy } from "#test/support/proxies/http-proxy.ts";
import { startSocksProxy } from "#test/support/proxies/socks-proxy.ts";
import { useStage } from "#test/support/stage.ts";

const stage = useStage();
const digest = parseSha256(`sha256:${"0".repeat(64)}`)!;
const auth = { kind: "puller", value: undefined } as const;
const signal = AbortSignal.timeout(60_000);
const pem: Record<"registry" | "cdn" | "client", { cert: string; key: string }> = {} as never;

beforeAll(async () => {
  for (const name of ["registry", "cdn", "client"] as const) {
    const names = `DNS:${name}.test,DNS:localhost,IP:127.0.0.1`;
    const { certFile, keyFile } = await makeCertificate(stage.folder, name, names);
    pem[name] = { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  }
});

/** An HTTPS server that asks for a certificate, and takes none amiss. */
async function startTls(name: "registry" | "cdn", answer: RequestListener) {
  const server = createServer({ ...pem[name], requestCert: true, rejectUnauthorized: false }, answer);
  const { port, close } = await listening(server, () => server.closeAllConnections());
  return { port, [Symbol.asyncDispose]: close };
}

/** The subject of the certificate that a connection was shown. */
const shownAt = (request: { socket: unknown }) => (request.socket as TLSSocket).getPeerCertificate().subject?.CN;

async function get(base: string, network?: Network, tls?: RegistryTls): Promise<string> {
  const client = new RegistryClient({ base: new URL(base), network, tls });
  try {
    return await text((await client.getBlob("a", digest, { auth, signal })).body);
  } finally {
    await client.close();
  }
}

test("what is asked in the clear goes to the proxy as it is, with its login", async () => {
  await using upstream = await startUpstream((_, response) => void response.end("blob"));
  await using proxy = await startProxy();
  const withLogin = new URL(proxy.url);
  [withLogin.username, withLogin.password] = ["ann", "p%40ss"];
  const network = new Network({ proxyFor: () => withLogin });
  const base = `http://registry.test:${upstream.url.port}`;
  expect(await get(base, network)).toBe("blob");
  expect(proxy.seen).toMatchObject([
    { line: `GET ${base}/v2/a/blobs/${digest}`, headers: { "proxy-authorization": `Basic ${btoa("ann:p@ss")}` } },
  ]);
  expect(upstream.seen[0]!.headers.host).toBe(`registry.test:${upstream.url.port}`);
});

test("a range that could be read directly is read through the proxy", async () => {
  await using upstream = await startUpstream((_, response) => void response.end("blob"));
  await using proxy = await startProxy();
  const base = new URL(`http://registry.test:${upstream.url.port}`);
  const client = new RegistryClient({ base, network: new Network({ proxyFor: () => proxy.url }) });
  const range = { start: 0, end: 4 };
  const { status, body } = await client.getRange("a", digest, { auth: { kind: "anonymous" }, range, signal });
  body.cancel();
  expect([status, proxy.seen.length]).toEqual([200, 1]);
  await client.close();
});

test("https goes through a tunnel, and only what the proxy is for", async () => {
  await using cdn = await startTls("cdn", (_, response) => response.end("blob"));
  await using upstream = await startTls("registry", (_, response) => {
    response.writeHead(307, { location: `https://127.0.0.1:${cdn.port}/` }).end();
  });
  await using proxy = await startProxy();
  const network = new Network({
    proxyFor: ({ hostname }) => (hostname === "registry.test" ? proxy.url : undefined),
    authorities: () => [pem.registry.cert, pem.cdn.cert],
  });
  expect(await get(`https://registry.test:${upstream.port}`, network)).toBe("blob");
  expect(proxy.seen.map(({ line }) => line)).toEqual([`CONNECT registry.test:${upstream.port}`]);
});

test("an authority is trusted where it is named, for the machine or for the registry, and else not", async () => {
  await using upstream = await startTls("registry", (_, response) => response.end("blob"));
  const base = `https://127.0.0.1:${upstream.port}`;
  const { cert } = pem.registry;
  expect(await get(base, new Network({ authorities: () => [cert] }))).toBe("blob");
  expect(await get(base, undefined, { ca: [cert] })).toBe("blob");
  expect(await get(base, new Network({ authorities: () => [pem.cdn.cert] }), { ca: [cert] })).toBe("blob");
  await expect(get(base, new Network({ authorities: () => [pem.cdn.cert] }))).rejects.toThrow(/self.signed/);
  await expect(get(base)).rejects.toThrow(RegistryUnreachable);
});

test.each([true, false])(
  "a client's certificate is shown to the registry and to no other host, proxy: %s",
  async (has) => {
    const shown: unknown[] = [];
    await using cdn = await startTls("cdn", (request, response) => {
      shown.push(shownAt(request));
      response.end("blob");
    });
    await using upstream = await startTls("registry", (request, response) => {
      shown.push(shownAt(request));
      response.writeHead(307, { location: `https://${has ? "cdn.test" : "127.0.0.1"}:${cdn.port}/` }).end();
    });
    await using proxy = await startProxy();
    const network = new Network({ proxyFor: () => (has ? proxy.url : undefined) });
    const tls = { ca: [pem.registry.cert, pem.cdn.cert], ...pem.client };
    const base = `https://${has ? "registry.test" : "localhost"}:${upstream.port}`;
    expect(await get(base, network, tls)).toBe("blob");
    expect(shown).toEqual(["client", undefined]);
  },
);

test("a certificate and a key that do not fit are refused at once", () => {
  const tls = { cert: pem.client.cert, key: pem.cdn.key };
  expect(() => new RegistryClient({ base: new URL("https://registry.test"), tls })).toThrow(/key values mismatch/);
});

test.each([403, 407, 502])("a proxy that answers %i is named as the reason", async (status) => {
  await using proxy = await startProxy(() => status);
  const network = new Network({ proxyFor: () => proxy.url });
  for (const scheme of ["https", ...(status === 407 ? ["http"] : [])]) {
    await expect(get(`${scheme}://registry.test`, network)).rejects.toThrow(new RegExp(`proxy.*${status}`, "i"));
  }
});

test("a SOCKS proxy is asked for names, with its login", async () => {
  await using plain = await startUpstream((_, response) => void response.end("blob"));
  await using secure = await startTls("registry", (_, response) => response.end("blob"));
  await using proxy = await startSocksProxy();
  const url = new URL(`socks5://ann:pw@127.0.0.1:${proxy.port}`);
  const network = new Network({ proxyFor: () => url, authorities: () => [pem.registry.cert] });
  expect(await get(`http://registry.test:${plain.url.port}`, network)).toBe("blob");
  expect(await get(`https://registry.test:${secure.port}`, network)).toBe("blob");
  expect(proxy.seen).toEqual(["ann@registry.test", "ann@registry.test"]);
});

test("a proxy that is down is not taken for a registry that is", async () => {
  const proxy = await startProxy();
  await proxy[Symbol.asyncDispose]();
  const client = new RegistryClient({
    base: new URL("https://registry.test"),
    network: new Network({ proxyFor: () => new URL(`http://ann:pw@${proxy.url.host}`) }),
  });
  const trouble = await client.trouble(signal);
  expect(trouble?.reason).toBe(
    `cannot be reached through the proxy ${proxy.url.host}: nothing listens there (connection refused)`,
  );
  await client.close();
});

test("an answer with 64 KiB of headers is read", async () => {
  const many = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`x-large-${at}`, "a".repeat(4096)]));
  await using upstream = await startUpstream((_, response) => void response.writeHead(200, many).end("blob"));
  await using proxy = await startProxy();
  expect(await get(upstream.url.href)).toBe("blob");
  const network = new Network({ proxyFor: () => proxy.url });
  expect(await get(`http://registry.test:${upstream.url.port}`, network)).toBe("blob");
  const client = new RegistryClient({ base: upstream.url });
  const range = { start: 0, end: 4 };
  const { status, headers, body } = await client.getRange("a", digest, { auth: { kind: "anonymous" }, range, signal });
  body.cancel();
  expect([status, headers["x-large-15"]]).toEqual([200, many["x-large-15"]]);
  await client.close();
});
