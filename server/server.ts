/**
 * The registry host's program: publishes the blobs of one registry under one prefix, on uplinks to forwarders and on
 * faces of its own.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { SegmentSize } from "#blob/names.ts";
import type { RangeReader } from "#blob/range-reader.ts";
import { RegistryRangeReader } from "#blob/registry-range-reader.ts";
import { StorageRangeReader } from "#blob/storage-range-reader.ts";
import { ControlPlane } from "#ndn/control-plane.ts";
import { FaceListener } from "#ndn/face-listener.ts";
import type { FaceUrl } from "#ndn/face-url.ts";
import type { Identity } from "#ndn/keychain.ts";
import type { Name } from "#ndn/name.ts";
import { SegmentProducer } from "#ndn/producer.ts";
import { PrefixRegistration } from "#ndn/registration.ts";
import { SocketUplink } from "#ndn/uplink.ts";
import { logUplink } from "#ndn/uplink-log.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { BlobDirectory } from "./blob-directory.ts";
import { KnownPlaces } from "./known-places.ts";
import { OpenBlobs } from "./open-blobs.ts";
import { PageCache } from "./page-cache.ts";
import { PublicCheck } from "./public-check.ts";
import { PublishPolicy } from "./publish-policy.ts";
import { ReadGate } from "./read-gate.ts";
import { createServerMetrics, exposeProducer } from "./server-metrics.ts";

/** Memory for pages of blobs, all together. */
const cacheBytes = 32 * 1024 * 1024;
/** Reads of the registry at a time. */
const concurrentReads = 32;

/** What a server needs; everything is already parsed and validated. */
export interface BlobServerOptions {
  readonly prefix: Name;
  readonly identity: Identity;
  readonly registry: RegistryClient;
  /** Root of the registry's filesystem storage, to read blobs from disk instead of over HTTP. */
  readonly storage: string | undefined;
  readonly publish: readonly string[];
  readonly exclude: readonly string[];
  readonly uplinks: readonly FaceUrl[];
  readonly faces: readonly FaceUrl[];
  readonly segmentBytes: SegmentSize;
  readonly stateDirectory: string | undefined;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** A running server. */
export class BlobServer {
  readonly producer: SegmentProducer;
  private readonly options: BlobServerOptions;
  private readonly stop = new AbortController();
  private readonly places: KnownPlaces;
  private readonly uplinks: SocketUplink[] = [];
  private readonly registrations: PrefixRegistration[] = [];
  private readonly listeners: FaceListener[] = [];

  private constructor(options: BlobServerOptions) {
    this.options = options;
    const { log, prefix, registry, identity, segmentBytes } = options;
    this.places = new KnownPlaces(options.stateDirectory, (err) => log.warn({ err }, "state cannot be kept"));
    const policy = new PublishPolicy(options);
    const cache = new PageCache(cacheBytes);
    const metrics = createServerMetrics(options.metrics);
    const storage = options.storage === undefined ? undefined : new StorageRangeReader(options.storage);
    const reader: RangeReader = storage
      ? new PublicCheck(storage, registry, policy)
      : new RegistryRangeReader(registry, (repository) => policy.isListed(repository));
    const blobs = new OpenBlobs({
      reader,
      cache,
      gate: new ReadGate(concurrentReads),
      signal: this.stop.signal,
      onRead: (bytes) => metrics.registryBytes.inc(bytes),
      onReadFailed: (blob, reason) => {
        metrics.registryFailures.inc();
        log.warn({ ...blob, reason: reason.message }, "reading the registry failed");
      },
    });
    const search =
      storage && ((digest: Parameters<StorageRangeReader["repositoriesWith"]>[0]) => storage.repositoriesWith(digest));
    const directory = new BlobDirectory({
      prefix,
      signer: identity.signer,
      policy,
      places: this.places,
      blobs,
      segmentBytes,
      search,
    });
    this.producer = new SegmentProducer(prefix, directory);
    exposeProducer(options.metrics, this.producer, () => cache.sizeBytes);
  }

  /**
   * Start. Uplinks that are down are tried again for ever; only a listener that cannot be opened is an error.
   * @throws Error when the address of a `--face` is taken.
   */
  static async start(options: BlobServerOptions): Promise<BlobServer> {
    const server = new BlobServer(options);
    try {
      for (const url of options.faces) server.listeners.push(await FaceListener.listen(url, server.producer));
    } catch (err: unknown) {
      await server.close();
      throw err;
    }
    for (const url of options.uplinks) server.connect(url);
    return server;
  }

  /** What does not work at the moment; empty when everything does. */
  missing(): string[] {
    const down = this.uplinks
      .filter((uplink) => uplink.face === undefined)
      .map((uplink) => `uplink ${uplink.describe} is down`);
    const refused = this.registrations
      .filter((r) => !r.registered)
      .map((r) => `prefix is not registered on ${r.uplink.describe}`);
    return [...down, ...refused];
  }

  /** Whether anybody can reach this server now. */
  isReachable(): boolean {
    return this.listeners.length > 0 || this.uplinks.some((uplink) => uplink.face !== undefined);
  }

  /** Withdraw the prefix, then close all faces and write the state. */
  async close(): Promise<void> {
    await Promise.all(this.registrations.map((registration) => registration.close()));
    for (const uplink of this.uplinks) uplink.close();
    await Promise.all(this.listeners.map((listener) => listener.close()));
    this.stop.abort();
    this.places.close();
  }

  private connect(url: FaceUrl): void {
    const { log, prefix, identity } = this.options;
    const uplink = new SocketUplink(url);
    uplink.addHandler(this.producer);
    const control = new ControlPlane(uplink);
    logUplink(uplink, log);
    this.registrations.push(
      new PrefixRegistration(uplink, control, prefix, identity.signer, {
        onRegistered: () => log.info({ uplink: url.text }, "prefix is registered"),
        onRefused: (_, reason, advice) =>
          log.warn({ uplink: url.text, reason: reason.message, advice }, "prefix registration was refused"),
      }),
    );
    this.uplinks.push(uplink);
    uplink.open();
  }
}
