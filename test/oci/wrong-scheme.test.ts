import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { RegistryClient } from "#oci/registry-client.ts";
import { makeCertificate } from "#test/client/listener/certificates.ts";
import { useStage } from "#test/support/stage.ts";

const stage = useStage();
const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.close();
    await once(server, "close");
  }
});

async function portOf(server: Server): Promise<number> {
  open.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const inTheClear = (answer: RequestListener) => portOf(createServer(answer));

async function troubleAt(base: string): Promise<string | undefined> {
  const client = new RegistryClient({ base: new URL(base) });
  const trouble = await client.trouble(AbortSignal.timeout(10_000));
  await client.close();
  return trouble?.reason;
}

test("a registry that speaks no TLS is asked whether it is http", async () => {
  const port = await inTheClear((_, response) => response.end());
  expect(await troubleAt(`https://127.0.0.1:${port}`)).toContain("it does not speak TLS: is it http://?");
});

test("one that speaks TLS is asked whether it is https, however it says so", async () => {
  const { certFile, keyFile } = await makeCertificate(stage.folder, "registry");
  const secure = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  const plain = `http://127.0.0.1:${await portOf(secure)}`;
  expect(await troubleAt(plain)).toContain("is it https://?");
  // As Go's servers and nginx do.
  const polite = await inTheClear((_, response) =>
    response.writeHead(400).end("Client sent an HTTP request to an HTTPS server."),
  );
  expect(await troubleAt(`http://127.0.0.1:${polite}`)).toBe("answers 400: is it https://?");
});

test("one that redirects to https is to be given by that address, one that redirects elsewhere may be right", async () => {
  let location = "https://127.0.0.1:8443/v2/";
  const port = await inTheClear((_, response) => response.writeHead(308, { location }).end());
  const base = `http://127.0.0.1:${port}/`;
  expect(await troubleAt(base)).toBe("redirects to https://127.0.0.1:8443: give that as its address");
  location = "https://other.example/v2/";
  expect(await troubleAt(base)).toBeUndefined();
});
