/**
 * Everything that the status page shows, at one moment.
 */
import type { UplinkState } from "#uplinks/uplink-blobs.ts";
import type { Health, RegistryHealth } from "./health.ts";
import { type BlobResult, type BytesBySource, type ClientMetrics, noBytes, type StoreUse } from "./metrics.ts";
import type { LiveBlob, PullLog } from "./pull-log.ts";
import type { PullView } from "./pull-view.ts";
import type { RateLimit } from "./upstream-answer.ts";

/** Where a snapshot comes from; functions are asked each time. */
export interface StatusSources {
  readonly version: string;
  /** Where pullers reach the endpoint. */
  readonly listen: () => string;
  readonly registries: () => readonly { readonly name: string; readonly upstream: URL | undefined }[];
  readonly pulls: PullLog;
  readonly metrics: ClientMetrics;
  readonly store: () => StoreUse | undefined;
  readonly uplinks: () => readonly UplinkState[];
  /** How registries are, as far as is known; `look` finds out in the background. @defaultValue nothing is known */
  readonly health?: Pick<Health, "registries" | "ready" | "missing" | "look"> | undefined;
}

/** The answer of `/-/status.json`. */
export interface StatusSnapshot {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly listen: string;
  readonly registries: readonly {
    readonly name: string;
    readonly upstream: string;
    readonly rateLimit: RateLimit | null;
    /** Null where nothing is known. */
    readonly health: RegistryHealth | null;
  }[];
  /** Whether anything can be served, as far as is known. */
  readonly ready: boolean;
  /** What does not work, one sentence each, as in `/readyz`. */
  readonly missing: readonly string[];
  readonly liveCount: number;
  /** The longest running ones. */
  readonly live: readonly LiveBlob[];
  /** The newest first. */
  readonly pulls: readonly PullView[];
  readonly store: StoreUse | null;
  readonly uplinks: readonly UplinkState[];
  /** Bytes handed to pullers in each of the last 120 seconds, the oldest first. */
  readonly history: readonly number[];
  /** Bytes handed to pullers since the start. */
  readonly totals: BytesBySource;
  readonly requests: Readonly<Record<BlobResult, number>>;
  /** Share of blob requests that needed no fetch, 0 to 1; null before the first one. */
  readonly hitRatio: number | null;
}

const maxLive = 100;

/** Take a snapshot; counts begin with the process, and so does the uptime. */
export async function takeSnapshot(sources: StatusSources): Promise<StatusSnapshot> {
  const { metrics, pulls } = sources;
  const [totals, requests] = [{ ...noBytes }, { store: 0, follower: 0, miss: 0, bypass: 0 }];
  await addUp(totals, "source", metrics.blobBytes);
  await addUp(requests, "result", metrics.blobRequests);
  sources.health?.look();
  return {
    version: sources.version,
    uptimeSeconds: Math.floor(process.uptime()),
    listen: sources.listen(),
    registries: await registriesOf(sources),
    ready: sources.health?.ready ?? true,
    missing: sources.health?.missing ?? [],
    liveCount: pulls.liveCount,
    live: pulls.live(maxLive),
    pulls: pulls.pulls(),
    store: sources.store() ?? null,
    uplinks: sources.uplinks(),
    history: pulls.history.perSecond(),
    totals,
    requests,
    hitRatio: hitRatioOf(requests),
  };
}

function hitRatioOf({ store, follower, miss }: Record<BlobResult, number>): number | null {
  const hits = store + follower;
  return hits + miss === 0 ? null : hits / (hits + miss);
}

async function registriesOf({ registries, metrics, health }: StatusSources): Promise<StatusSnapshot["registries"]> {
  const limits = await valuesOf("registry", metrics.rateLimit);
  const remainders = await valuesOf("registry", metrics.rateLimitRemaining);
  return registries().map(({ name, upstream }) => {
    const [limit, remaining] = [limits.get(name), remainders.get(name)];
    const rateLimit = limit === undefined || remaining === undefined ? null : { limit, remaining };
    // Not its href: there may be a password in it.
    return {
      name,
      upstream: upstream ? upstream.origin + upstream.pathname.replace(/\/$/, "") : "none",
      rateLimit,
      health: health?.registries.find((one) => one.name === name) ?? null,
    };
  });
}

/** A metric of prom-client with one label. */
interface Labelled {
  get(): Promise<{ values: readonly { readonly value: number; readonly labels: object }[] }>;
}

async function valuesOf(label: string, metric: Labelled): Promise<Map<string, number>> {
  const { values } = await metric.get();
  return new Map(values.map(({ labels, value }) => [String((labels as Record<string, unknown>)[label]), value]));
}

async function addUp(sums: Record<string, number>, label: string, metric: Labelled): Promise<void> {
  for (const [name, value] of await valuesOf(label, metric)) if (name in sums) sums[name] = value;
}
