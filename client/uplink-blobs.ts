/**
 * Blobs over NDN as the endpoint sees them: the first uplink that is up.
 */
import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import { NdnSource } from "#blob/ndn-source.ts";
import type { BlobSource } from "#blob/source.ts";
import { type ConsumerOptions, SegmentConsumer } from "#ndn/consumer.ts";
import { ControlPlane } from "#ndn/control-plane.ts";
import type { Name } from "#ndn/name.ts";
import type { Uplink } from "#ndn/uplink.ts";
import { logUplink } from "#ndn/uplink-log.ts";
import type { NdnBlobs } from "./ndn-blobs.ts";

interface Way {
  readonly uplink: Uplink;
  readonly consumer: SegmentConsumer;
  readonly source: NdnSource;
}

/** Reads blobs over any of several uplinks; closes them. */
export class UplinkBlobs implements NdnBlobs {
  private readonly ways: readonly Way[];

  constructor(uplinks: readonly Uplink[], prefix: Name, options: ConsumerOptions, log: Logger) {
    this.ways = uplinks.map((uplink) => {
      const consumer = new SegmentConsumer(uplink, options);
      uplink.addHandler(consumer);
      const control = new ControlPlane(uplink);
      uplink.addListener({ onDown: (reason) => consumer.faceDown(reason ?? new Error("uplink was closed")) });
      logUplink(uplink, log);
      return { uplink, consumer, source: new NdnSource(prefix, control, consumer) };
    });
  }

  /** Begin to connect; never fails, uplinks that are down are tried again. */
  open(): void {
    for (const { uplink } of this.ways) uplink.open();
  }

  source(): BlobSource | undefined {
    return this.ways.find(({ uplink, source }) => uplink.face !== undefined && !source.isResting)?.source;
  }

  /** Uplinks that are down, and those on which nobody answers, for `/readyz`. */
  missing(): string[] {
    return this.ways.flatMap(({ uplink, source }) => {
      if (uplink.face === undefined) return [`uplink ${uplink.describe} is down`];
      return source.isResting ? [`nobody answers on uplink ${uplink.describe}`] : [];
    });
  }

  close(): void {
    for (const { uplink } of this.ways) uplink.close();
  }

  /** Define gauges for each uplink; read when scraped. */
  expose(registry: Registry): void {
    const shown: [string, string, (way: Way) => number][] = [
      ["ndn_registry_uplink_up", "Whether the uplink is up", ({ uplink }) => (uplink.face ? 1 : 0)],
      ["ndn_registry_uplink_rtt_milliseconds", "Smoothed round-trip time", ({ consumer }) => consumer.rtt.smoothedMs],
      ["ndn_registry_uplink_window_segments", "Congestion window", ({ consumer }) => consumer.window.size],
      ["ndn_registry_uplink_interests_total", "Interests sent for segments", (way) => way.consumer.counters.interests],
      [
        "ndn_registry_uplink_retransmissions_total",
        "Interests that were sent again",
        (way) => way.consumer.counters.retransmissions,
      ],
      ["ndn_registry_uplink_nacks_total", "Network Nacks received", (way) => way.consumer.counters.nacks],
    ];
    const { ways } = this;
    for (const [name, help, value] of shown) {
      new Gauge({
        name,
        help,
        labelNames: ["uplink"] as const,
        registers: [registry],
        collect() {
          for (const way of ways) this.set({ uplink: way.uplink.describe }, value(way));
        },
      });
    }
  }
}
