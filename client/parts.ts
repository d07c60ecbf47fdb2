/**
 * What a client is made of, opened from options and configuration: registries, store, login, certificate.
 */
import { rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type Bandwidth, createBandwidth } from "#blob/bandwidth.ts";
import type { HedgeMode } from "#blob/hedge.ts";
import type { Network } from "#oci/connections.ts";
import { BlobStore } from "#store/blob-store.ts";
import { StoreError } from "#store/store-port.ts";
import type { UplinkState } from "#uplinks/uplink-blobs.ts";
import { type BasicAuth, createBasicAuth } from "./listener/basic-auth.ts";
import { isLocalAddress, type ListenAddress } from "./listener/listen.ts";
import { readTls, reloadTls, type Tls, type TlsFiles, type TlsOptions } from "./listener/tls.ts";
import { ListenerFileError } from "./listener/watched-file.ts";
import { ClientOptionError, type Mirror, type MirrorParts } from "./mirror.ts";
import { Mirrors } from "./mirrors.ts";
import type { ClientConfig } from "./registries/client-config.ts";
import { reloadRegistries } from "./reload.ts";
import type { Serve } from "./served-registries.ts";
import { Health, type Readiness } from "./status/health.ts";
import { type ClientMetrics, createClientMetrics } from "./status/metrics.ts";
import type { StatusSources } from "./status/snapshot.ts";

/** What a client is made of; it closes nothing of this itself, see `onOpen`. */
export interface ClientParts {
  /** By their name in the configuration. */
  mirrors: ReadonlyMap<string, Mirror>;
  /** The registry of names without one. */
  defaultRegistry: string;
  /** Without it nothing is cached but manifests, in memory. */
  store?: BlobStore | undefined;
  log: Logger;
  metrics: ClientMetrics;
  readonly listen: readonly ListenAddress[];
  readiness: () => Readiness | Promise<Readiness>;
  /** An upstream that sends nothing for this long in the middle of a blob is left for another source. @defaultValue 15000 */
  stallTimeoutMs?: number | undefined;
  /** How long the upstream may take to say what a tag means before the cache answers. @defaultValue 4000 */
  tagTimeoutMs?: number | undefined;
  /** When the upstream is asked as well because NDN is late. @defaultValue auto */
  hedge?: HedgeMode | undefined;
  /** Limits for all pullers together. @defaultValue none */
  bandwidth?: { readonly upstream: Bandwidth | undefined; readonly ndn: Bandwidth | undefined };
  tls?: TlsOptions | undefined;
  /** Given, everyone needs a login of the endpoint. */
  login?: Pick<BasicAuth, "check"> | undefined;
  /** @defaultValue 1024 */
  maxConnections?: number | undefined;
  /** What the status page shows and to whom; @defaultValue to this machine */
  status?: {
    readonly version?: string;
    readonly for?: "local" | "everyone";
    readonly hostNames?: readonly string[];
    readonly uplinks?: () => readonly UplinkState[];
    readonly health?: StatusSources["health"];
  };
  /** Called when the server listens. */
  onOpen?: (open: OpenEndpoint) => Promise<RunningParts>;
}

/** What an open client hands to its parts. */
export interface OpenEndpoint {
  readonly server: Server;
  /** Where it listens, see `Listening`. */
  readonly urls: readonly string[];
  readonly serve: Serve;
}

/** What the parts do while the client runs. */
export interface RunningParts {
  /** See `Client`. */
  reload(): Promise<void>;
  /** Called when the client has closed. */
  close(): Promise<void>;
}

/** What a client is opened with, as parsed from options and configuration; `ndn` stays the caller's to close. */
export interface ClientOptions extends Omit<MirrorParts, "metrics"> {
  readonly config: ClientConfig;
  /** Reads the configuration again. @throws Error that says what is wrong with it */
  readonly readConfig: () => ClientConfig | Promise<ClientConfig>;
  /** How registries are reached, with `upstreamCa` read again. @defaultValue as before @throws Error as `readConfig` */
  readonly readNetwork?: () => Network;
  /** File of authorities for all registries. */
  readonly upstreamCa?: string | undefined;
  readonly metrics: Registry;
  /** Of the package, for the status page. */
  readonly version: string;
  readonly listen: readonly ListenAddress[];
  readonly cacheDir: string;
  /** In bytes; 0 for no cache. */
  readonly cacheSize: number;
  /** Bytes per second. @defaultValue none */
  readonly limitUpstream: number | undefined;
  readonly limitNdn: number | undefined;
  readonly hedge: HedgeMode;
  readonly tagTimeoutMs: number;
  readonly maxConnections: number;
  /** Certificate and key, both or none. */
  readonly tls: TlsFiles | undefined;
  /** File of the users that may log in; without it no login is needed. */
  readonly htpasswd: string | undefined;
  readonly statusFor: "local" | "everyone";
  readonly statusHost: readonly string[];
  /** What `/readyz` is to name as well. */
  readonly alsoMissing?: () => readonly string[];
}

/** Open everything; the client that is opened with it closes it. @throws ClientOptionError */
export async function openParts(options: ClientOptions): Promise<ClientParts> {
  const { config, ndn, log } = options;
  for (const warning of config.warnings) log.warn(warning);
  const metrics = createClientMetrics(options.metrics);
  ndn.expose(options.metrics);
  const tls = options.tls && tlsOf(options.tls, log);
  const login = loginOf(options);
  const mirrors = new Mirrors(config, { ...options, metrics });
  const opened = await openStore(options, metrics);
  const store = opened === "unusable" ? undefined : opened;
  const missing = () => [
    ...(opened === "unusable" ? ["the cache cannot be used, see the log"] : []),
    ...(options.alsoMissing?.() ?? []),
  ];
  const watched = () =>
    [...mirrors.now].map(([name, { config, registry, ndn }]) => ({ name, registry, ndn, prefix: config.name }));
  const health = new Health(watched, () => [...ndn.missing(), ...missing()], log);
  return {
    mirrors: mirrors.now,
    defaultRegistry: config.default,
    store,
    log,
    metrics,
    listen: options.listen,
    readiness: () => health.readiness(),
    bandwidth: { upstream: createBandwidth(options.limitUpstream), ndn: createBandwidth(options.limitNdn) },
    hedge: options.hedge,
    tagTimeoutMs: options.tagTimeoutMs,
    tls: tls?.options,
    login,
    maxConnections: options.maxConnections,
    status: {
      version: options.version,
      for: options.statusFor,
      hostNames: options.statusHost,
      uplinks: () => ndn.states(),
      health,
    },
    async onOpen({ server, urls, serve }) {
      const certificate = tls && reloadTls(server as HttpsServer, options.tls!, tls.version, log);
      const admin = store && (await announce(urls, store.directory, options));
      const registries = [...mirrors.now.values()].map(
        ({ config: { registry, upstream } }) => upstream?.href ?? registry,
      );
      log.info({ listen: urls.join(", "), registries }, "endpoint is open");
      health.start();
      return {
        async reload() {
          certificate?.look();
          login?.look();
          await reloadRegistries({ options, mirrors, serve, health });
        },
        async close() {
          health.close();
          certificate?.end();
          await login?.close();
          await mirrors.close();
          if (admin !== undefined) await rm(admin, { force: true });
          await store?.close();
        },
      };
    },
  };
}

function tlsOf(files: TlsFiles, log: Logger): Tls {
  const tls = fromFile(() => readTls(files));
  for (const warning of tls.warnings) log.warn(warning);
  return tls;
}

function loginOf({ htpasswd, tls, listen, log }: ClientOptions): BasicAuth | undefined {
  if (htpasswd === undefined) return undefined;
  if (!tls && !listen.every(isLocalAddress)) {
    log.warn("--htpasswd without --tls-cert: passwords cross the network in the clear");
  }
  return fromFile(() => createBasicAuth(htpasswd, { log }));
}

function fromFile<T>(read: () => T): T {
  try {
    return read();
  } catch (err: unknown) {
    if (err instanceof ListenerFileError) throw new ClientOptionError(err.message, { cause: err });
    throw err;
  }
}

/** A store that cannot be used costs its bytes, never a pull. */
async function openStore(
  { cacheDir, cacheSize, log }: ClientOptions,
  metrics: ClientMetrics,
): Promise<BlobStore | "unusable" | undefined> {
  if (cacheSize === 0) return undefined;
  const evicted = (sizeBytes: number) => {
    metrics.evictions.inc();
    metrics.evictedBytes.inc(sizeBytes);
  };
  try {
    return await BlobStore.open({ directory: cacheDir, maxBytes: cacheSize, log, events: { evicted } });
  } catch (err: unknown) {
    if (!(err instanceof StoreError)) throw err;
    log.error({ reason: err.message }, "nothing is cached: name another directory with --cache-dir, or --cache-size 0");
    return "unusable";
  }
}

/** Tell `ndn-registry cache` where it may ask this process; undefined where it cannot. */
async function announce(
  urls: readonly string[],
  directory: string,
  { tls, htpasswd, log }: ClientOptions,
): Promise<string | undefined> {
  if (tls || htpasswd !== undefined) return undefined;
  const url = urls.find((one) => /^http:\/\/(?:127\.|\[::1\])/.test(one)) ?? urls[0];
  const path = join(directory, "admin.json");
  try {
    await writeFile(path, `${JSON.stringify({ url })}\n`, { mode: 0o600 });
    return path;
  } catch (err: unknown) {
    log.warn({ err }, "ndn-registry cache will not find this process");
    return undefined;
  }
}
