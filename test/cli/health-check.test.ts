import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createPlainServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { readTls } from "#client/listener/tls.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { freePort } from "#test/support/free-port.ts";
import { checkout } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

let server: Server | undefined;
afterEach(async () => {
  const closed = server && once(server, "close");
  server?.close();
  server?.closeAllConnections();
  await closed;
  server = undefined;
});

const healthy: RequestListener = (request, response) => {
  response.statusCode = request.url === "/healthz" ? 200 : 404;
  response.end();
};

async function listening(made: Server, host = "127.0.0.1"): Promise<number> {
  server = made;
  await once(made.listen(0, host), "listening");
  return (made.address() as AddressInfo).port;
}

/** What the client's Dockerfile runs, with the variables of a container. */
async function checkHealth(env: Readonly<Record<string, string>>) {
  const dockerfile = readFileSync(join(checkout, "client.Dockerfile"), "utf8");
  const command = JSON.parse(/^HEALTHCHECK [^\n]*\\\n\s*CMD (\[.*\])$/m.exec(dockerfile)![1]!) as string[];
  const child = spawn(process.execPath, command.slice(1), {
    cwd: checkout,
    env: testEnvironment(env),
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  return { status: status as number | null, stderr };
}

test("a client that answers is healthy, on whatever address it listens", async () => {
  const port = await listening(createPlainServer(healthy), "0.0.0.0");
  for (const host of ["0.0.0.0", "127.0.0.1", ""]) {
    expect(await checkHealth({ DOCKER_NDN_LISTEN: `${host}:${port}` })).toEqual({ status: 0, stderr: "" });
  }
});

test("of several addresses the first is asked; a socket file is one", async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "client.sock");
  server = createPlainServer(healthy);
  await once(server.listen(path), "listening");
  const env = { DOCKER_NDN_LISTEN: `unix://${path}, 127.0.0.1:1` };
  expect(await checkHealth(env)).toEqual({ status: 0, stderr: "" });
});

test("one that answers with an error, or is not there, is not", async () => {
  const port = await listening(createPlainServer((_request, response) => response.writeHead(503).end()));
  expect((await checkHealth({ DOCKER_NDN_LISTEN: `0.0.0.0:${port}` })).status).toBe(1);
  const { status, stderr } = await checkHealth({ DOCKER_NDN_LISTEN: `0.0.0.0:${await freePort()}` });
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/^connect ECONNREFUSED .*\n$/) });
});

describeWith(["openssl"], "with TLS", () => {
  test("it is asked over TLS, whatever the name in its certificate", async () => {
    await using folder = await makeTemporaryFolder();
    const files = await makeCertificate(folder.path, "registry.example");
    const port = await listening(createTlsServer(readTls(files).options, healthy));
    const env = { DOCKER_NDN_LISTEN: `0.0.0.0:${port}`, DOCKER_NDN_TLS_CERT: files.certFile };
    expect(await checkHealth(env)).toEqual({ status: 0, stderr: "" });
    expect((await checkHealth({ ...env, DOCKER_NDN_TLS_CERT: "" })).status).toBe(1);
  });
});
