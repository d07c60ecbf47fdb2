import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { networkOf } from "#cli/network/network.ts";
import { OptionError } from "#cli/option.ts";
import { registryUrl } from "#cli/parsers.ts";
import { ask } from "#test/client/endpoint.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { startProxy } from "#test/support/proxies/http-proxy.ts";
import { startClient, startServer } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { runExecutable } from "./executable.ts";

const stage = useStage();
let registry: URL;
let ca: string;

// By a name that only the proxy knows, with a certificate that only --upstream-ca vouches for.
beforeAll(async () => {
  const { certFile, keyFile } = await makeCertificate(stage.folder, "registry", "DNS:registry.test");
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.own({
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  });
  registry = new URL(`https://registry.test:${(server.address() as AddressInfo).port}`);
  ca = certFile;
});

test.each(["HTTPS_PROXY", "https_proxy"])(
  "the client reaches its upstream through %s and trusts --upstream-ca",
  async (name) => {
    await using proxy = await startProxy();
    const folder = await stage.newFolder("client");
    await using client = await startClient({
      folder,
      args: ["--upstream", registry.href, "--name", "/t", "--upstream-ca", ca, "--cache-size", "0"],
      env: { [name]: proxy.url.href, NO_PROXY: "other.test" },
      mayBeUnready: true,
    });
    const { status, body } = await ask(new URL(client.url), "/v2/a/tags/list");
    expect([status, body.toString()]).toEqual([200, "{}"]);
    expect(proxy.seen[0]!.line).toBe(`CONNECT ${registry.host}`);
    expect(client.process.log()).toContain("the upstream is reached through a proxy");
  },
);

test("the client reaches this machine past the proxy, and trusts SSL_CERT_FILE", async () => {
  await using proxy = await startProxy();
  const folder = await stage.newFolder("client");
  const { certFile, keyFile } = await makeCertificate(folder, "local", "DNS:localhost");
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (_, response) => {
    response.end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const upstream = `https://localhost:${(server.address() as AddressInfo).port}`;
  await using client = await startClient({
    folder,
    args: ["--upstream", upstream, "--name", "/t", "--cache-size", "0"],
    env: { HTTPS_PROXY: proxy.url.href, SSL_CERT_FILE: certFile },
    mayBeUnready: true,
  });
  expect((await ask(new URL(client.url), "/v2/a/tags/list")).status).toBe(200);
  expect(proxy.seen).toEqual([]);
  server.close();
  server.closeAllConnections();
});

test("the server reaches its registry through the proxy and trusts --registry-ca", async () => {
  await using proxy = await startProxy();
  const folder = await stage.newFolder("server");
  await using server = await startServer({
    folder,
    args: [
      "--registry",
      registry.href,
      "--name",
      "/t",
      "--registry-ca",
      ca,
      "--face",
      `unix://${join(folder, "face")}`,
    ],
    env: { HTTPS_PROXY: proxy.url.href },
    mayBeUnready: true,
  });
  await until("the registry to be asked", () => proxy.seen.length > 0);
  expect(proxy.seen[0]!.line).toBe(`CONNECT ${registry.host}`);
  expect((await server.missing()).join()).not.toContain("registry.test");
});

test("the client shows a registry the certificate that --config has for it", async () => {
  const folder = await stage.newFolder("client");
  const [own, puller] = await Promise.all([
    makeCertificate(folder, "own", "DNS:localhost"),
    makeCertificate(folder, "puller", "DNS:puller.test"),
  ]);
  const [cert, key, ca] = [own.certFile, own.keyFile, puller.certFile].map((file) => readFileSync(file));
  const server = createServer({ cert, key, ca, requestCert: true }, (_, response) => response.end("{}"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const config = join(folder, "config.yaml");
  const registryWith = (tls: string) => `registries: {"localhost:${port}": {${tls}}}\n`;
  await writeFile(config, registryWith("ca: own.crt, cert: puller.crt, key: puller.key"), { mode: 0o600 });
  const args = ["--config", config, "--cache-size", "0"];
  {
    await using client = await startClient({ folder, args, mayBeUnready: true });
    expect((await ask(new URL(client.url), "/v2/a/tags/list")).status).toBe(200);
  }
  server.close();
  server.closeAllConnections();
  await writeFile(config, registryWith("ca: puller.key"), { mode: 0o600 });
  const { status, stderr } = await runExecutable(["client", ...args], { cwd: folder });
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /--config: ca, cert and key of localhost:\d+: .*puller\.key has no certificate in PEM form\n$/,
  );
});

test("what cannot be a proxy or an authority is an error of the options, and no login is quoted", async () => {
  const empty = join(stage.folder, "empty.pem");
  await writeFile(empty, "no certificate");
  const broken = join(stage.folder, "broken.pem");
  await writeFile(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  for (const file of [empty, broken, join(stage.folder, "missing.pem")]) {
    expect(() => networkOf({}, "upstream-ca", file)).toThrow(OptionError);
    expect(() => networkOf({}, "upstream-ca", file)).toThrow(/--upstream-ca: .*\.pem/);
  }
  expect(() => networkOf({ HTTP_PROXY: "ftp://ann:secret@proxy" }, "upstream-ca", undefined)).toThrow(
    /^HTTP_PROXY (?!.*secret)/,
  );
});

test.each(["https://registry.example/v2/", "https://registry.example/v2", "http://127.0.0.1:5000/base/v2//"])(
  "a registry's URL with the API in it is refused in one line: %s",
  (text) => expect(() => registryUrl(text)).toThrow("ends in /v2/, which is added to each request: leave it out"),
);
