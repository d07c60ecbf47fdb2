/**
 * Blobs over NDN as the endpoint sees them: the first uplink that is up. One congestion window per uplink, shared by the
 * blobs of all registries.
 */
import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import { NdnSource, type PacketEvents, type SegmentRepair } from "#blob/ndn-source.ts";
import type { BlobSource } from "#blob/source.ts";
import { type ConsumerOptions, SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { Questions } from "#ndn/consumer/questions.ts";
import { FchUplink } from "#ndn/face/fch-uplink.ts";
import type { Uplink } from "#ndn/face/uplink.ts";
import { logUplink } from "#ndn/face/uplink-log.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { TrustAnchors } from "#ndn/trust/anchors.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import type { NdnBlobs } from "./ndn-blobs.ts";
import { observedSource } from "./observed-source.ts";
import { UplinkChoice } from "./uplink-choice.ts";
import type { UplinkState } from "./uplink-state.ts";

interface Way {
  readonly uplink: Uplink;
  readonly consumer: SegmentConsumer;
  readonly questions: Questions;
}

/** Blobs of one registry over one uplink. */
interface WayToRegistry extends Way {
  readonly source: NdnSource;
}

/** Reads blobs over any of several uplinks; closes them. */
export class UplinkBlobs {
  private readonly ways: readonly Way[];
  private readonly registries: { ways: readonly WayToRegistry[]; choice: UplinkChoice<WayToRegistry> }[] = [];

  constructor(uplinks: readonly Uplink[], options: ConsumerOptions, log: Logger) {
    this.ways = uplinks.map((uplink) => {
      const consumer = new SegmentConsumer(uplink, options);
      uplink.addHandler(consumer);
      const questions = new Questions(uplink);
      uplink.addListener({ onDown: (reason) => consumer.faceDown(reason ?? new Error("uplink was closed")) });
      logUplink(uplink, log);
      return { uplink, consumer, questions };
    });
  }

  /**
   * The blobs of the registry that is published under `prefix`; with anchors each packet is compared.
   *
   * @param eventsOf - Who hears of wrong packets on this uplink.
   */
  under(prefix: Name, anchors?: TrustAnchors, eventsOf: (uplink: string) => PacketEvents = () => ({})): NdnBlobs {
    const ways = this.ways.map((way) => {
      const { questions } = way;
      const fetchCertificate = certificateFetcher(questions, anchors);
      const events = eventsOf(way.uplink.describe);
      const trust = anchors && { verifier: createVerifier({ anchors, prefix, fetchCertificate }), events };
      return { ...way, source: new NdnSource(prefix, questions, way.consumer, trust) };
    });
    const choice = new UplinkChoice<WayToRegistry>({ ways, isUp, onRest: ({ uplink }) => this.rested(uplink) });
    for (const way of ways) way.uplink.addListener({ onUp: () => choice.cameUp(way) });
    this.registries.push({ ways, choice });
    return {
      ways(repair) {
        const next = choice.next();
        const over = (way: WayToRegistry, leavesCrawling: boolean) =>
          observedSource(withRepair(way.source, repair), () => choice.begin(way), leavesCrawling);
        return { first: next.map((way) => over(way, true)), lastResort: next[0] && over(next[0], false) };
      },
    };
  }

  /** A router that was found is not the only one; but the face is all registries', and what answers one of them stays. */
  private rested(uplink: Uplink): void {
    if (!(uplink instanceof FchUplink)) return;
    const isInUse = this.registries.some(({ ways, choice }) =>
      ways.some((way) => way.uplink === uplink && choice.isInUse(way)),
    );
    if (!isInUse) uplink.leaveRouter(new Error("nobody answers there"));
  }

  /** Whether any blob can be read over NDN now. */
  get isUp(): boolean {
    return this.registries.some(({ ways, choice }) => ways.some((way) => choice.isUsable(way)));
  }

  /** Begin to connect; never fails, uplinks that are down are tried again. */
  open(): void {
    for (const { uplink } of this.ways) uplink.open();
  }

  /** Uplinks that are down, and those on which nobody answers, for `/readyz`. */
  missing(): string[] {
    return this.states().flatMap(({ describe, up, isResting }) => {
      if (!up) return [`uplink ${describe} is down`];
      return isResting ? [`nobody answers on uplink ${describe}`] : [];
    });
  }

  /** How the uplinks are, for the status page. */
  states(): UplinkState[] {
    return this.ways.map(({ uplink, consumer }) => {
      const { interests, retransmissions, nacks } = consumer.counters;
      const isResting = this.registries.some(({ ways, choice }) =>
        ways.some((way) => way.uplink === uplink && choice.isResting(way)),
      );
      return {
        describe: uplink.describe,
        up: uplink.face !== undefined,
        isResting,
        rttMs: consumer.rtt.smoothedMs,
        window: consumer.window.size,
        interests,
        retransmissions,
        nacks,
      };
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

function isUp({ uplink }: Way): boolean {
  return uplink.face !== undefined;
}

function withRepair(source: NdnSource, repair: SegmentRepair | undefined): BlobSource {
  return {
    name: source.name,
    isVerified: source.isVerified,
    open: (blob, from, signal) => source.open(blob, from, signal, repair),
  };
}
