import { afterEach, beforeEach, vi } from "vitest";
import type { BlobSource } from "#blob/source.ts";
import { BlobStore } from "#store/blob-store.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import type { NdnBlobs } from "#uplinks/uplink-blobs.ts";
import { type Endpoint, type EndpointOptions, startEndpoint } from "../endpoint.ts";

/** An endpoint with a real store. */
export interface HoldingEndpoint extends Endpoint {
  readonly store: BlobStore;
}

/** What each test of a file starts with; everything on it is closed after the test. */
export interface CachedStage {
  owned: AsyncDisposableStack;
  /** Of the cache; the same for all endpoints of one test, which may have it one after the other. */
  directory: string;
  /** Start an endpoint that holds what it has served. */
  start(
    upstream: URL,
    ndn?: BlobSource | (() => BlobSource | undefined) | NdnBlobs,
    options?: EndpointOptions,
  ): Promise<HoldingEndpoint>;
  /** Let the monotonic clock of this process jump. */
  later(ms: number): void;
}

/** Longer than the upstream's "yes" is remembered without asking again. */
export const rightsAreOldMs = 301_000;

/** Set it up before each test of a file. */
export function useCachedStage(maxBytes = 200_000_000): CachedStage {
  let skippedMs = 0;
  const stage: CachedStage = {
    owned: new AsyncDisposableStack(),
    directory: "",
    start: async (upstream, ndn, options = {}) => {
      const log = { info: () => {}, warn: () => {} };
      const store = await BlobStore.open({ directory: stage.directory, maxBytes, log });
      const endpoint = await startEndpoint(upstream, ndn, { store, ...options });
      const close = async () => {
        await endpoint[Symbol.asyncDispose]();
        await store.close();
      };
      return stage.owned.use({ ...endpoint, store, [Symbol.asyncDispose]: once(close) });
    },
    later: (ms) => {
      skippedMs += ms;
    },
  };
  beforeEach(async () => {
    stage.owned = new AsyncDisposableStack();
    stage.directory = stage.owned.use(await makeTemporaryFolder()).path;
    skippedMs = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + skippedMs);
  });
  afterEach(async () => {
    await stage.owned.disposeAsync();
    vi.restoreAllMocks();
  });
  return stage;
}

/** How many blob requests ended in each way, and the bytes of blobs by source; what is 0 is left out. */
export async function countsOf({ metrics }: Pick<Endpoint, "metrics">): Promise<Record<string, number>> {
  const samples = parseMetrics(await metrics.metrics());
  const of = (metric: string, label: string, values: readonly string[]) =>
    values.map((value) => [value, sumOf(samples, metric, { [label]: value })] as const);
  const results = of("ndn_registry_blob_requests_total", "result", ["store", "follower", "miss", "bypass"]);
  const sources = of("ndn_registry_blob_bytes_total", "source", ["ndn", "upstream", "store"]);
  const bytes = sources.map(([source, count]) => [`${source} bytes`, count] as const);
  return Object.fromEntries([...results, ...bytes].filter(([, count]) => count > 0));
}

/** A test may close it in its middle. */
function once(close: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => (closed ??= close());
}
