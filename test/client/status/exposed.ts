import pino from "pino";
import type { Registry } from "prom-client";
import { createClientMetrics, exposeStore } from "#client/status/metrics.ts";
import type { Uplink } from "#ndn/face/uplink.ts";
import type { SegmentProducer } from "#ndn/producer.ts";
import { createPublishMetrics, exposeProducer } from "#publish/publish-metrics.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

/** Counters of a producer, to be changed by the test. */
export const produced = { interests: 5, segmentsSent: 4, payloadBytesSent: 3, dropped: 2 };

const uplink: Uplink = {
  describe: "tcp://router.example",
  isLocal: false,
  face: undefined,
  addHandler() {},
  addListener() {},
  removeListener() {},
  open() {},
  close() {},
};

/** Define everything that client and server show. */
export function exposeAll(registry: Registry): void {
  createClientMetrics(registry);
  exposeStore(registry, () => undefined);
  new UplinkBlobs([uplink], { maxWindow: 1 }, pino({ level: "silent" })).expose(registry);
  createPublishMetrics(registry);
  exposeProducer(
    registry,
    { counters: produced } as SegmentProducer,
    () => 0,
    () => 0,
  );
}

/** Names and types as a scrape says them. */
export async function typesOf(registry: Registry): Promise<{ name: string; type: string }[]> {
  const text = await registry.metrics();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type: type! }));
}
