/**
 * What a publication counts (Prometheus).
 */
import { Counter, type Registry } from "prom-client";
import { exposeScraped, type ScrapedMetric } from "#base/scraped-metric.ts";
import type { SegmentProducer } from "#ndn/producer.ts";

/** Counters that its parts write to. */
export interface PublishMetrics {
  readonly registryBytes: Counter;
  readonly registryFailures: Counter;
  readonly digestLists: Counter<"origin">;
  readonly uniqueInterests: Counter<"outcome">;
  readonly pointers: Counter<"kind" | "outcome">;
}

/** Define them in `registry`. */
export function createPublishMetrics(registry: Registry): PublishMetrics {
  const registers = [registry];
  return {
    registryBytes: new Counter({
      name: "ndn_registry_server_registry_bytes_total",
      help: "Blob bytes read from the registry or its storage",
      registers,
    }),
    registryFailures: new Counter({
      name: "ndn_registry_server_registry_failures_total",
      help: "Reads of the registry that failed",
      registers,
    }),
    digestLists: new Counter({
      name: "ndn_registry_server_digest_lists_total",
      help: "Digest lists found, by where: memory, state, or computed",
      labelNames: ["origin"],
      registers,
    }),
    uniqueInterests: new Counter({
      name: "ndn_registry_server_unique_questions_total",
      help: "Interests that no cache can answer: answered, or refused at the bound",
      labelNames: ["outcome"],
      registers,
    }),
    pointers: new Counter({
      name: "ndn_registry_server_pointers_total",
      help: "Questions for tags, manifests and lists: answered, absent, or failed",
      labelNames: ["kind", "outcome"],
      registers,
    }),
  };
}

/** Show the producer's own counters; read when scraped, so that counting costs the hot path nothing. */
export function exposeProducer(
  registry: Registry,
  producer: SegmentProducer,
  cachedBytes: () => number,
  heldBytes: () => number,
): void {
  const { counters } = producer;
  const shown: [ScrapedMetric["type"], string, string, () => number][] = [
    ["counter", "interests_total", "Interests received under the prefix", () => counters.interests],
    ["counter", "segments_total", "Segments sent", () => counters.segmentsSent],
    ["counter", "payload_bytes_total", "Payload bytes sent in segments", () => counters.payloadBytesSent],
    ["counter", "dropped_interests_total", "Interests dropped at a bound", () => counters.dropped],
    ["gauge", "cached_bytes", "Blob bytes cached in memory", cachedBytes],
    ["gauge", "held_bytes", "Bytes of manifests and snapshots in memory", heldBytes],
  ];
  for (const [type, name, help, value] of shown) {
    exposeScraped(registry, { type, name: `ndn_registry_server_${name}`, help, read: () => [[{}, value()]] });
  }
}
