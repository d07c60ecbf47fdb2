/** The loser of a race leaves nothing behind: no connection, no Interest that is asked again. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Semaphore } from "#base/limits.ts";
import { createHedgeDelay, hedgeFor } from "#blob/hedge.ts";
import { type BlobSource, fromStart } from "#blob/source.ts";
import { upstreamSource } from "#blob/upstream-source.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { inMemory, ObjectsInMemory } from "#test/ndn/objects.ts";
import { until } from "#test/support/until.ts";
import { blobOf, collect, waitsFor } from "./faulty-sources.ts";

const blob = blobOf("cancel", 200_000);
const never = new AbortController().signal;
let sockets: Socket[];
let answer: (response: ServerResponse) => void;
let registry: RegistryClient;
let server: ReturnType<typeof createServer>;

beforeEach(async () => {
  sockets = [];
  server = createServer((request: IncomingMessage, response) => {
    sockets.push(request.socket);
    answer(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  registry = new RegistryClient({ base: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) });
});

afterEach(async () => {
  await registry.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function hedged(ndn: BlobSource): BlobSource {
  const upstream = upstreamSource({ registry, auth: { kind: "puller", value: undefined } });
  const delay = createHedgeDelay({ mode: 20 });
  return hedgeFor({ upstream, delay, limit: new Semaphore(1), needsRight: false })(ndn);
}

test.each([
  ["before its answer", () => undefined],
  ["in its body", (response: ServerResponse) => response.writeHead(200, { "Content-Length": 200_000 }).flushHeaders()],
] as const)("an upstream that is overtaken %s loses its connection", async (_, behave) => {
  answer = behave;
  const gate = Promise.withResolvers<void>();
  const opening = hedged(waitsFor(gate.promise, blob)).open(blob.ref, fromStart, never);
  await until("the GET", () => sockets.length === 1);
  gate.resolve();
  const read = await opening;
  expect(read.source).toBe("ndn");
  await until("the connection to be closed", () => sockets[0]!.destroyed);
  expect(Buffer.concat(await collect(read.chunks)).equals(blob.bytes)).toBe(true);
  expect(sockets).toHaveLength(1);
});

test("an NDN fetch that is overtaken asks for nothing more", async () => {
  const gate = Promise.withResolvers<void>();
  const whole = (response: ServerResponse) =>
    response.writeHead(200, { "Content-Length": blob.bytes.length }).end(blob.bytes);
  answer = (response) => void gate.promise.then(() => whole(response));
  await using path = await inMemory({ accept: () => true }, { stallTimeoutMs: 60_000 }); // only a cancel ends it
  const what = new ObjectsInMemory().add("cancel", blob.bytes);
  const ndn: BlobSource = {
    name: "ndn",
    open: async (_blob, _from, signal) => ({
      sizeBytes: blob.bytes.length,
      chunks: path.consumer.fetch(what, signal),
    }),
  };
  const opening = hedged(ndn).open(blob.ref, fromStart, never);
  await until("Interests", () => path.consumer.inflight > 0);
  gate.resolve();
  const read = await opening;
  expect(read.source).toBe("upstream");
  await until("the fetch to leave", () => path.consumer.inflight === 0);
  const { interests } = path.consumer.counters;
  expect(Buffer.concat(await collect(read.chunks)).equals(blob.bytes)).toBe(true);
  expect(path.consumer.counters.interests).toBe(interests);
});
