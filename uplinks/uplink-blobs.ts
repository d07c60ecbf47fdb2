/**
 * Blobs over NDN as the endpoint sees them: the first uplink that is up. One congestion window per uplink and
 * registry.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { exposeScraped, type ScrapedMetric } from "#base/scraped-metric.ts";
import { NdnSource, type SegmentRepair } from "#blob/ndn-source.ts";
import type { BlobSource } from "#blob/source.ts";
import type { PacketEvents } from "#blob/trusted-packets.ts";
import { type ConsumerOptions, SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { FetchMemory } from "#ndn/consumer/fetch-memory.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { FchUplink } from "#ndn/face/fch-uplink.ts";
import { logUplink, type Uplink } from "#ndn/face/uplink.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { TrustAnchors } from "#ndn/trust/anchors.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { inTurn, type ReadOutlook } from "./in-turn.ts";
import { observedSource } from "./observed-source.ts";
import { downReason, type NdnReach, type Path, type PathToRegistry, reachOver, troubleOf } from "./path-trouble.ts";
import { type SignedObjects, signedObjects, type VerifiedPath } from "./signed-objects.ts";
import { Turns } from "./turns.ts";
import { UplinkChoice } from "./uplink-choice.ts";

/**
 * From this share of lost datagrams on segments of 1200 bytes, each of which is one datagram, cost less than those of 8192,
 * which are lost with any of six: 0.97 x 0.9 of what is sent is payload that arrives, instead of 0.97^6 x 0.97.
 */
const lossyShare = 0.03;

/** The NDN side of one registry as the puller's endpoint sees it. */
export interface NdnBlobs {
  /**
   * Where one blob may be read over NDN; nowhere when no face is up, so that no reader waits for one.
   *
   * @param repair - Where a segment comes from that no one on NDN has right.
   * @param isAlone - There is nothing but NDN: then an uplink on which no one answered lately is the last resort.
   */
  paths(repair?: SegmentRepair, isAlone?: boolean): NdnPaths;
  /** What its servers sign; undefined without an anchor. */
  readonly objects?: SignedObjects | undefined;
  /** Whether other blobs are coming just now: one that is late waits in a queue. @defaultValue no */
  isBusy?(): boolean;
  /** Why no blob can be read over NDN now, in words; undefined while one can. @defaultValue nothing is known */
  trouble?(): string | undefined;
  /** Ask for the registry's server over each uplink; resolves within 2 s, or when `signal` fires. */
  reach?(signal: AbortSignal): Promise<readonly NdnReach[]>;
  /** Forget the registry: it is not served any more, and no blob is read. */
  leave?(): void;
}

/** The paths of one blob. */
export interface NdnPaths {
  /** Best first, two at most: the second one takes over what the first one leaves. */
  readonly first: readonly NdnPath[];
  /** Where to ask once more when nothing else is left: not even a path that crawls is left then. */
  readonly lastResort: NdnPath | undefined;
}

/** One path of one blob. */
export interface NdnPath extends BlobSource {
  /**
   * `source`, which is this one with what is wrapped around it, opened when its turn on the uplink has come.
   * @defaultValue there are turns for all
   */
  inTurn?(source: BlobSource, outlook: ReadOutlook): BlobSource;
}

/** An uplink, to be shown. */
export interface UplinkState {
  readonly describe: string;
  readonly up: boolean;
  /** No one answers on it: blobs do not wait for it. */
  readonly isResting: boolean;
  /** 0 before the first answer. */
  readonly rttMs: number;
  /** Segments. */
  readonly window: number;
  readonly interests: number;
  readonly retransmissions: number;
  readonly nacks: number;
  /** Reads of blobs that use it, and those that wait for their turn. */
  readonly reads: number;
  readonly waiting: number;
}

/** How blobs are fetched over all uplinks. */
export interface UplinkOptions extends ConsumerOptions {
  /** What may be asked for and not be taken, all together. @defaultValue 64 MiB */
  readonly memoryBytes?: number;
}

/** Reads blobs over any of several uplinks; closes them. */
export class UplinkBlobs {
  readonly #paths: readonly Path[];
  readonly #registries = new Set<{ paths: readonly PathToRegistry[]; choice: UplinkChoice<PathToRegistry> }>();

  constructor(uplinks: readonly Uplink[], options: UplinkOptions, log: Logger) {
    const memory = new FetchMemory(options.memoryBytes);
    this.#paths = uplinks.map((uplink) => {
      const consumer = new SegmentConsumer(uplink, options, memory);
      uplink.addHandler(consumer);
      const interests = new InterestClient(uplink);
      const failed: Path["failed"] = {};
      uplink.addListener({
        onDown: (reason) => consumer.faceDown(reason ?? new Error("uplink was closed")),
        onConnectFailed(reason) {
          failed.reason = reason;
        },
      });
      logUplink(uplink, log);
      const window = {
        get size() {
          return consumer.path.control.size;
        },
      };
      return { uplink, consumer, interests, turns: new Turns(window), failed };
    });
  }

  /**
   * The blobs of the registry that is published under `prefix`; with anchors each packet is compared.
   *
   * @param eventsOf - Is notified of wrong packets on this uplink.
   */
  under(prefix: Name, anchors?: TrustAnchors, eventsOf: (uplink: string) => PacketEvents = () => ({})): NdnBlobs {
    const paths = this.#paths.map((path) => {
      const { interests } = path;
      const fetchCertificate = certificateFetcher(interests, anchors);
      const events = eventsOf(path.uplink.describe);
      const verifier = anchors && createVerifier({ anchors, prefix, fetchCertificate });
      const trust = verifier && { verifier, events };
      const losesFragments = () => (path.uplink.face?.fragmentLoss ?? 0) > lossyShare;
      const source = new NdnSource(prefix, interests, path.consumer, trust, losesFragments);
      const probe = { prefix, interests, verifier, anchors };
      const untrusted = (name: Name, reason: Error) => events.untrusted?.(name, reason);
      return { ...path, source, probe, verifier, untrusted, hasAnswered: false, lastReach: undefined };
    });
    const choice = new UplinkChoice<PathToRegistry>({
      paths,
      isUp,
      rttMs: ({ source }) => source.rttMs,
      onBackOff: ({ uplink }) => this.#backedOff(uplink),
    });
    const listeners = paths.map((path) => ({ path, listener: { onUp: () => choice.cameUp(path) } }));
    for (const { path, listener } of listeners) path.uplink.addListener(listener);
    const registry = { paths, choice };
    this.#registries.add(registry);
    const verified = paths.filter((path): path is VerifiedPath & (typeof paths)[number] => path.verifier !== undefined);
    return {
      objects: anchors && signedObjects(prefix, verified, choice),
      leave: () => {
        this.#registries.delete(registry);
        for (const { path, listener } of listeners) path.uplink.removeListener(listener);
      },
      reach: (signal) => Promise.all(paths.map((path) => reachOver(path, choice, signal))),
      paths(repair, isAlone = false) {
        const next = choice.next();
        const over = (path: PathToRegistry, leavesCrawling: boolean): NdnPath => ({
          ...observedSource(path.source, () => choice.begin(path), leavesCrawling, repair),
          inTurn: (source, outlook) => {
            const isOfUse = () => !leavesCrawling || choice.isUsable(path);
            return inTurn(source, path.turns, outlook, isOfUse);
          },
        });
        const last = next[0] ?? (isAlone ? paths.find(isUp) : undefined);
        return { first: next.map((path) => over(path, true)), lastResort: last && over(last, false) };
      },
      isBusy: () => choice.isBusy,
      trouble() {
        if (paths.length === 0) return "there is no uplink";
        const reasons = paths.map((path) => troubleOf(path, choice));
        return reasons.includes(undefined) ? undefined : reasons.join(", ");
      },
    };
  }

  /** A router that was found is not the only one; but the face is all registries', and what answers one of them stays. */
  #backedOff(uplink: Uplink): void {
    if (!(uplink instanceof FchUplink)) return;
    const isInUse = [...this.#registries].some(({ paths, choice }) =>
      paths.some((path) => path.uplink === uplink && choice.isInUse(path)),
    );
    if (!isInUse) uplink.leaveRouter(new Error("no one answers there"));
  }

  /** Whether any blob can be read over NDN now. */
  get isUp(): boolean {
    return [...this.#registries].some(({ paths, choice }) => paths.some((path) => choice.isUsable(path)));
  }

  /** Begin to connect; never fails, uplinks that are down are tried again. */
  open(): void {
    for (const { uplink } of this.#paths) uplink.open();
  }

  /** Uplinks that are down and why, for `/readyz`; whether a registry answers over one, `reach` says. */
  missing(): string[] {
    return this.#paths.filter((path) => !isUp(path)).map(downReason);
  }

  /** How the uplinks are, for the status page. */
  states(): UplinkState[] {
    return this.#paths.map(({ uplink, consumer, turns }) => {
      const { interests, retransmissions, nacks } = consumer.counters;
      const isResting = [...this.#registries].some(({ paths, choice }) =>
        paths.some((path) => path.uplink === uplink && choice.isBackingOff(path)),
      );
      return {
        describe: uplink.describe,
        up: uplink.face !== undefined,
        isResting,
        rttMs: consumer.path.rtt.smoothedMs,
        window: consumer.path.control.size,
        interests,
        retransmissions,
        nacks,
        reads: turns.running,
        waiting: turns.waiting,
      };
    });
  }

  close(): void {
    for (const { uplink } of this.#paths) uplink.close();
  }

  /** Define the metrics of each uplink; read when scraped. */
  expose(registry: Registry): void {
    const shown = [
      ["gauge", "up", "Whether the uplink is up", ({ uplink }) => (uplink.face ? 1 : 0)],
      ["gauge", "rtt_milliseconds", "Smoothed round-trip time", ({ consumer }) => consumer.path.rtt.smoothedMs],
      ["gauge", "window_segments", "Congestion window", ({ consumer }) => consumer.path.control.size],
      ["gauge", "reads", "Reads of blobs that use the uplink", ({ turns }) => turns.running],
      ["gauge", "waiting_reads", "Reads of blobs that wait for their turn", ({ turns }) => turns.waiting],
      ["counter", "interests_total", "Interests sent for segments", ({ consumer }) => consumer.counters.interests],
      [
        "counter",
        "retransmissions_total",
        "Interests that were sent again",
        ({ consumer }) => consumer.counters.retransmissions,
      ],
      ["counter", "nacks_total", "Network Nacks received", ({ consumer }) => consumer.counters.nacks],
    ] as const satisfies [ScrapedMetric["type"], string, string, (path: Path) => number][];
    for (const [type, name, help, value] of shown) {
      const read = () => this.#paths.map((path) => [{ uplink: path.uplink.describe }, value(path)] as const);
      exposeScraped(registry, { type, name: `ndn_registry_uplink_${name}`, help, labelNames: ["uplink"], read });
    }
  }
}

function isUp({ uplink }: Path): boolean {
  return uplink.face !== undefined;
}
