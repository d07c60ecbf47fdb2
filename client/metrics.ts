import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** What the puller's endpoint counts. */
export interface ClientMetrics {
  readonly registry: Registry;
  readonly blobBytes: Counter<"source">;
  readonly blobs: Counter<"outcome">;
  readonly blobsInFlight: Gauge;
  readonly blobSeconds: Histogram;
  readonly upstreamErrors: Counter;
}

const durationBuckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

/** Make the metrics in `registry`, once per registry. */
export function createClientMetrics(registry: Registry): ClientMetrics {
  const registers = [registry];
  const blobBytes = new Counter({
    name: "ndn_registry_blob_bytes_total",
    help: "Payload of blobs handed to pullers, by where it came from.",
    labelNames: ["source"] as const,
    registers,
  });
  // A series that starts at 0 can be told from one that is missing.
  for (const source of ["ndn", "upstream"]) blobBytes.inc({ source }, 0);
  return {
    registry,
    blobBytes,
    blobs: new Counter({
      name: "ndn_registry_blobs_total",
      help: "Blob requests by outcome.",
      labelNames: ["outcome"] as const,
      registers,
    }),
    blobsInFlight: new Gauge({
      name: "ndn_registry_blobs_in_flight",
      help: "Blob requests that are being answered now.",
      registers,
    }),
    blobSeconds: new Histogram({
      name: "ndn_registry_blob_duration_seconds",
      help: "Time from a blob request to its end.",
      buckets: durationBuckets,
      registers,
    }),
    upstreamErrors: new Counter({
      name: "ndn_registry_upstream_errors_total",
      help: "Requests to the upstream registry that brought no answer or broke off.",
      registers,
    }),
  };
}
