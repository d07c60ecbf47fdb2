import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlobStore } from "#store/blob-store.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { type Endpoint, startEndpoint } from "../endpoint.ts";

let folder: TemporaryFolder;
let store: BlobStore;
let endpoint: Endpoint;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  const log = pino({ enabled: false });
  store = await BlobStore.open({ directory: join(folder.path, "cache"), maxBytes: 1e6, log });
  const listen = [{ path: join(folder.path, "client.sock") }, { host: "127.0.0.1", port: 0 }];
  endpoint = await startEndpoint(new URL("http://127.0.0.1:1"), undefined, { listen, store });
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await store.close();
  await folder[Symbol.asyncDispose]();
});

async function statusOf(path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const socketPath = join(folder.path, "client.sock");
  const asked = request({ socketPath, path, headers: { host: "localhost", ...headers }, agent: false }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.destroy();
  return answer.statusCode!;
}

test("a program at the socket file is one of this machine: it may see the page and the cache", async () => {
  expect(endpoint.client.urls).toEqual([`unix://${folder.path}/client.sock`, expect.stringMatching(/^http:/)]);
  for (const path of ["/", "/-/status.json", "/-/cache", "/healthz"]) expect(await statusOf(path)).toBe(200);
});

test("a proxy at the socket file, which may speak for anyone, is not", async () => {
  const headers = { "x-forwarded-for": "192.0.2.1" };
  for (const path of ["/", "/-/status.json", "/-/cache"]) expect(await statusOf(path, headers)).toBe(403);
  expect(await statusOf("/-/cache", { host: "registry.example" })).toBe(403);
});
