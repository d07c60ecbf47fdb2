import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf, randomBytesOf } from "../random-bytes.ts";
import { startByteRelay } from "./byte-relay.ts";

const bytes = randomBytesOf("byte relay", 1_000_000);
let owned: AsyncDisposableStack;

beforeEach(() => {
  owned = new AsyncDisposableStack();
});

afterEach(() => owned.disposeAsync());

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  owned.defer(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function fetchThrough(port: number): Promise<{ digest: string; ms: number }> {
  const startedAtMs = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: "close" } });
  const body = new Uint8Array(await response.arrayBuffer());
  return { digest: digestOf(body), ms: performance.now() - startedAtMs };
}

test("a byte relay passes everything on, not faster than its rate and delay", async () => {
  const targetPort = await serve((_, response) => response.end(bytes));
  const link = { delayMs: 20, bitsPerSecond: 40_000_000 };
  const relay = owned.use(await startByteRelay({ targetPort, up: link, down: link }));
  const { digest, ms } = await fetchThrough(relay.port);
  expect(digest).toBe(digestOf(bytes));
  expect(ms).toBeGreaterThan(200 + 40);
});

test("a byte relay passes the end of the connection on", async () => {
  const targetPort = await serve((_, response) => {
    response.writeHead(200, { Connection: "close" }).end(bytes); // no Content-Length: the end is the end
  });
  const relay = owned.use(await startByteRelay({ targetPort, up: {}, down: { delayMs: 5 } }));
  expect((await fetchThrough(relay.port)).digest).toBe(digestOf(bytes));
});

test("a byte relay breaks off towards the client what breaks off behind it", async () => {
  const targetPort = await serve((_, response) => {
    response.writeHead(200, { "Content-Length": bytes.length });
    response.write(bytes.subarray(0, 1000), () => response.destroy());
  });
  const relay = owned.use(await startByteRelay({ targetPort, up: {}, down: {} }));
  await expect(fetchThrough(relay.port)).rejects.toThrow();
});
