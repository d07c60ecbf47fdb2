/**
 * What the puller's endpoint counts (Prometheus). Labels take their values from closed lists, or from the configuration.
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { exposeScraped } from "#base/scraped-metric.ts";
import type { SourceName } from "#blob/source.ts";

/** How a blob request was met; hits are the first two. */
export type BlobResult =
  /** The store cached all of it. */
  | "store"
  /** It joined a fetch that was already running. */
  | "follower"
  /** It had to be fetched. */
  | "miss"
  /** It is not for the store: passed on as it came. */
  | "bypass";

/** All of them. */
export const blobResults = ["store", "follower", "miss", "bypass"] as const satisfies readonly BlobResult[];

/** How a blob request ended. */
export type Outcome =
  /** All bytes were handed to the puller. */
  | "complete"
  /** The connection was broken off: no source could continue, or the digest was wrong. */
  | "broken"
  /** The puller went away. */
  | "cancelled"
  /** The upstream said no. */
  | "refused"
  /** No source could begin. */
  | "unavailable";

/** Bytes by where they came from. */
export type BytesBySource = Readonly<Record<SourceName, number>>;

/** No bytes yet. */
export const noBytes: BytesBySource = { ndn: 0, store: 0, peer: 0, upstream: 0 };

/** In which ways the upstream fails. */
export const upstreamErrorKinds = ["unreachable", "timeout", "429", "5xx", "broken"] as const;

/** `unreachable`: no connection; `timeout`: silence; `broken`: an answer that ended early or cannot be right. */
export type UpstreamErrorKind = (typeof upstreamErrorKinds)[number];

/** The endpoint's counters, to be written to as things happen. */
export interface ClientMetrics {
  readonly registry: Registry;
  readonly blobBytes: Counter<"source">;
  readonly blobs: Counter<"outcome">;
  readonly blobRequests: Counter<"result">;
  readonly blobsInFlight: Gauge;
  readonly blobSeconds: Histogram;
  /** Pulls seen (see `PullLog`), counted when they begin. */
  readonly pulls: Counter;
  /** Blobs that are being fetched now, however many read along. */
  readonly fetchesInFlight: Gauge;
  readonly evictions: Counter;
  readonly evictedBytes: Counter;
  /** Manifests that were answered, by where they came from. */
  readonly manifests: Counter<"source">;
  /** Answers from the cache because the upstream had none. */
  readonly offlineAnswers: Counter<"what">;
  /** `upstreamErrorKind` tells the kind; without one the upstream counts as unreachable. */
  readonly upstreamErrors: { inc(kind?: UpstreamErrorKind): void };
  /** Segments over NDN that were not the right ones, and how they were replaced. */
  readonly segmentsWrong: Counter;
  readonly segmentsRepaired: Counter<"how">;
  /** Reads that asked the upstream as well because NDN was late, by who brought the first bytes. */
  readonly hedges: Counter<"won">;
  /** Bytes of segments that came from the upstream instead. */
  readonly repairedBytes: Counter;
  /** Signed packets that were not believed. */
  readonly packetsUntrusted: Counter;
  readonly connectionsDropped: Counter;
  readonly rateLimit: Gauge<"registry">;
  readonly rateLimitRemaining: Gauge<"registry">;
}

/** What can be answered from the cache. */
export type OfflineAnswer = "ping" | "manifest" | "blob";

const offlineAnswers: readonly OfflineAnswer[] = ["ping", "manifest", "blob"];
const durationBuckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

/** Make the metrics in `registry`, once per registry. */
export function createClientMetrics(registry: Registry): ClientMetrics {
  const make = factory(registry);
  const upstreamErrors = make.counter(
    "ndn_registry_upstream_errors_total",
    "Requests to the upstream registry that brought no answer, broke off, or were answered with 429 or 5xx, by kind.",
    { kind: upstreamErrorKinds },
  );
  return {
    registry,
    blobBytes: make.counter(
      "ndn_registry_blob_bytes_total",
      "Payload of blobs handed to pullers, by where it came from.",
      { source: ["ndn", "upstream", "store"] },
    ),
    blobs: make.counter("ndn_registry_blobs_total", "Blob requests by outcome.", { outcome: [] }),
    blobRequests: make.counter(
      "ndn_registry_blob_requests_total",
      "Blob requests that were served: from the store, as follower of a running fetch, by a fetch, or past the store.",
      { result: blobResults },
    ),
    blobsInFlight: make.gauge("ndn_registry_blobs_in_flight", "Blob requests that are being answered now."),
    blobSeconds: new Histogram({
      name: "ndn_registry_blob_duration_seconds",
      help: "Time from a blob request to its end.",
      buckets: durationBuckets,
      registers: [registry],
    }),
    pulls: make.counter("ndn_registry_pulls_total", "Pulls: from a manifest to the blobs that it lists.", {}),
    fetchesInFlight: make.gauge("ndn_registry_fetches_in_flight", "Blobs that are being fetched now."),
    evictions: make.counter("ndn_registry_store_evictions_total", "Blobs that had to make room in the store.", {}),
    evictedBytes: make.counter("ndn_registry_store_evicted_bytes_total", "Bytes of blobs that had to make room.", {}),
    manifests: make.counter("ndn_registry_manifests_total", "Manifests that were answered, by where they came from.", {
      source: ["ndn", "upstream", "store"],
    }),
    offlineAnswers: make.counter(
      "ndn_registry_offline_answers_total",
      "Answers given from the cache because the upstream had none.",
      { what: offlineAnswers },
    ),
    segmentsWrong: make.counter(
      "ndn_registry_segments_wrong_total",
      "Segments over NDN that were not the right ones.",
      {},
    ),
    segmentsRepaired: make.counter("ndn_registry_segments_mended_total", "Wrong segments that were replaced, by how.", {
      how: ["implicit-digest", "elsewhere"],
    }),
    hedges: make.counter(
      "ndn_registry_hedges_total",
      "Reads that asked the upstream as well because NDN was late, by who brought the first bytes.",
      { won: ["ndn", "upstream"] },
    ),
    repairedBytes: make.counter(
      "ndn_registry_repaired_bytes_total",
      "Bytes of segments that were wrong on NDN and came from the upstream.",
      {},
    ),
    packetsUntrusted: make.counter(
      "ndn_registry_packets_untrusted_total",
      "Signed packets that were not believed.",
      {},
    ),
    connectionsDropped: make.counter(
      "ndn_registry_connections_dropped_total",
      "Connections that were turned away.",
      {},
    ),
    upstreamErrors: { inc: (kind = "unreachable") => upstreamErrors.inc({ kind }) },
    rateLimit: make.gauge("ndn_registry_upstream_rate_limit", "Pulls that the upstream allows per window.", "registry"),
    rateLimitRemaining: make.gauge(
      "ndn_registry_upstream_rate_limit_remaining",
      "Pulls that the upstream still allows in the running window, as it last said.",
      "registry",
    ),
  };
}

/** How full the store is. */
export interface StoreUse {
  readonly usedBytes: number;
  readonly maxBytes: number;
  readonly blobs: number;
}

/** Show how full the store is; read when scraped, undefined while there is no store. */
export function exposeStore(registry: Registry, use: () => StoreUse | undefined): void {
  const shown: [string, string, (use: StoreUse) => number][] = [
    ["ndn_registry_store_bytes", "Bytes of blobs in the store.", ({ usedBytes }) => usedBytes],
    ["ndn_registry_store_limit_bytes", "Bytes that the store may hold.", ({ maxBytes }) => maxBytes],
    ["ndn_registry_store_blobs", "Blobs in the store.", ({ blobs }) => blobs],
  ];
  for (const [name, help, value] of shown) {
    const read = (): [Record<string, string>, number][] => {
      const now = use();
      return [[{}, now ? value(now) : 0]];
    };
    exposeScraped(registry, { type: "gauge", name, help, read });
  }
}

function factory(registry: Registry) {
  const registers = [registry];
  return {
    // A series that starts at 0 differs from one that is missing.
    counter<L extends string>(name: string, help: string, labels: Record<L, readonly string[]>): Counter<L> {
      const counter = new Counter({ name, help, labelNames: Object.keys(labels) as L[], registers });
      for (const [label, values] of Object.entries<readonly string[]>(labels))
        for (const value of values) counter.inc({ [label]: value } as Record<L, string>, 0);
      return counter;
    },
    gauge<L extends string = never>(name: string, help: string, ...labelNames: L[]): Gauge<L> {
      return new Gauge({ name, help, labelNames, registers });
    },
  };
}
