/** The connection of a puller that holds up others after the disk has failed is broken off. */
import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import pino from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { Semaphore } from "#base/limits.ts";
import { createHedgeDelay } from "#blob/hedge.ts";
import { createBlobRoute } from "#client/blobs/blob-route.ts";
import { BlobSources } from "#client/blobs/blob-sources.ts";
import { createRights } from "#client/rights/rights.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { PullLog } from "#client/status/pull-log.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { blobOf, waitsFor } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { slowReaderBudgetMs, useBudgetClock } from "../../fetch/budget-clock.ts";
import { filesClosed, stageFetches } from "../../fetch/fetch-stage.ts";
import { ask } from "../endpoint.ts";
import { contextFor } from "../puller.ts";

// More than the kernel takes for a puller that does not read.
const blob = blobOf("more than sockets hold", 40_000_000);
const clock = useBudgetClock();

test("a puller that stops reading when the disk is full is broken off with right bytes, and the other gets all", async () => {
  const { store, fetches } = stageFetches({ slowReaderBudgetMs });
  store.roomBytes = 1024 * 1024;
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  const ndn = waitsFor(gate, blob);
  const base = new URL("http://127.0.0.1:1");
  await using owned = new AsyncDisposableStack();
  const registry = new RegistryClient({ base });
  owned.defer(() => registry.close());
  const common = {
    registry,
    ndn: { paths: () => ({ first: [ndn], lastResort: undefined }) },
    authorize: "none",
    rights: createRights({ registry, registryHost: "registry.example", authorize: "none" }),
    store,
    hedge: { delay: createHedgeDelay({ mode: "off" }), limit: new Semaphore(8) },
    bandwidth: { upstream: undefined, ndn: undefined },
    metrics: createClientMetrics(new Registry()),
    pulls: new PullLog(),
    log: pino({ level: "silent" }),
    stallTimeoutMs: 1_000,
    sizes: { of: () => undefined },
    spool: undefined,
  } as const;
  const services = { ...common, sources: new BlobSources(common), fetcher: fetches };
  const route = createBlobRoute(services);
  const server = createServer((request, response) => {
    void route(contextFor(request, response), blob.ref);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  owned.defer(async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);

  const joined = (count: number) =>
    until(`reader ${count}`, () => [...fetches.progress()].some(({ readers }) => readers === count));
  const answered = once(get(url, { agent: false }), "response") as Promise<[IncomingMessage]>;
  await joined(1);
  const other = ask(url, "/");
  await joined(2);
  openGate();
  const [stuck] = await answered;
  const broken = once(stuck, "error") as Promise<[NodeJS.ErrnoException]>;
  await clock.outwait(0);
  expect((await other).body.equals(blob.bytes)).toBe(true);
  const pieces: Buffer[] = [];
  stuck.on("data", (piece: Buffer) => pieces.push(piece));
  const [{ code }] = await broken;
  expect(code).toBe("ECONNRESET");
  const received = Buffer.concat(pieces);
  expect(received.length).toBeLessThan(blob.bytes.length);
  expect(received.equals(blob.bytes.subarray(0, received.length))).toBe(true);
  await filesClosed(store);
});
