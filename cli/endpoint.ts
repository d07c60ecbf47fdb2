/**
 * Builds the puller's endpoint from what the options and the configuration say, and closes what it has opened.
 */
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Registry } from "prom-client";
import { createBandwidth } from "#blob/bandwidth.ts";
import type { HedgeMode } from "#blob/hedge.ts";
import { type ClientApp, createClientApp } from "#client/app.ts";
import { type BasicAuth, createBasicAuth } from "#client/listener/basic-auth.ts";
import { ListenerFileError } from "#client/listener/listener-error.ts";
import { readTls, type Tls } from "#client/listener/tls.ts";
import { reloadTls } from "#client/listener/tls-reload.ts";
import type { ClientConfig, RegistryConfig } from "#client/registries/client-config.ts";
import { registryLogin } from "#client/registries/login.ts";
import type { Mirror } from "#client/registry-api.ts";
import { type ClientMetrics, createClientMetrics } from "#client/status/metrics.ts";
import { noteUpstreamAnswer } from "#client/status/upstream-answer.ts";
import { wrongPackets } from "#client/status/wrong-packets.ts";
import { AnchorError, TrustAnchors } from "#ndn/trust/anchors.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { BlobStore } from "#store/blob-store.ts";
import { StoreError } from "#store/store-error.ts";
import type { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import { graceMs } from "./lifetime.ts";
import { listenError } from "./listen-error.ts";
import type { createLogger } from "./logger.ts";
import { OptionError, type Values } from "./option.ts";
import type { clientOptions } from "./option-table.ts";

type Log = ReturnType<typeof createLogger>;

/** What the endpoint takes from the options. */
export type EndpointValues = Omit<
  Values<typeof clientOptions>,
  "name" | "upstream" | "config" | "uplink" | "hedge" | "logLevel" | "logFormat"
>;

/** What an endpoint is built from; `ndn` stays the caller's to close. */
export interface EndpointParts {
  readonly values: EndpointValues;
  readonly config: ClientConfig;
  readonly ndn: UplinkBlobs;
  readonly metrics: Registry;
  readonly log: Log;
  readonly hedge: HedgeMode;
  /** Certificates that are trusted besides those of the configuration. */
  readonly trusted?: TrustAnchors | undefined;
  /** What `/readyz` is to name as well. */
  readonly alsoMissing?: () => readonly string[];
}

/** An open endpoint. */
export interface Endpoint {
  readonly url: string;
  /** Ends it within the grace period. */
  close(): Promise<void>;
}

/** Open the registry endpoint on `--listen`. @throws StartError, OptionError */
export async function openEndpoint(parts: EndpointParts): Promise<Endpoint> {
  const { values, config, ndn, log } = parts;
  for (const warning of config.warnings) log.warn(warning);
  const metrics = createClientMetrics(parts.metrics);
  ndn.expose(parts.metrics);
  const tls = tlsOf(values, log);
  const login = loginOf(values, log);
  const mirrors = new Map([...config.registries].map(([name, one]) => [name, mirrorOf(one, parts, metrics)]));
  const store = await openStore(values, metrics, log);
  const missing = () => [
    ...(store === "unusable" ? ["the cache cannot be used, see the log"] : []),
    ...(parts.alsoMissing?.() ?? []),
  ];
  const cached = store === "unusable" ? undefined : store;
  const endpoint = await createClientApp({
    mirrors,
    defaultRegistry: config.default,
    store: cached,
    log,
    metrics,
    readiness: () => readinessOf(ndn, mirrors, missing),
    bandwidth: { upstream: createBandwidth(values.limitUpstream), ndn: createBandwidth(values.limitNdn) },
    hedge: parts.hedge,
    tls: tls?.options,
    login,
    maxConnections: values.maxConnections,
    status: {
      version: packageVersion(),
      for: values.statusFor,
      hostNames: values.statusHost,
      uplinks: () => ndn.states(),
    },
  });
  const url = await listen(endpoint, values);
  const stopReloading = tls && reloadTls(endpoint.app.server as never, tls.files, tls.version, log);
  const admin = cached && (await announce(endpoint, cached.directory, values, log));
  log.info(
    { listen: url, registries: [...mirrors.values()].map(({ config: { upstream } }) => upstream.href) },
    "endpoint is open",
  );
  return {
    url,
    async close() {
      stopReloading?.();
      await endpoint.shutdown(graceMs);
      await login?.close();
      for (const { registry } of mirrors.values()) await registry.close();
      if (admin !== undefined) await rm(admin, { force: true });
      await cached?.close();
    },
  };
}

async function listen({ app }: ClientApp, { listen: { host, port } }: EndpointValues): Promise<string> {
  return app.listen({ host, port, listenTextResolver: () => "" }).catch((err: unknown) => {
    throw listenError("listen", `${host}:${port}`, err);
  });
}

function mirrorOf(config: RegistryConfig, { ndn, log, trusted }: EndpointParts, metrics: ClientMetrics): Mirror {
  const warn = (message: string) => log.warn({ registry: config.registry }, message);
  const registry = new RegistryClient({
    base: config.upstream,
    credentials: loginAt(config, warn),
    onAnswer: (answer) => noteUpstreamAnswer(metrics, config.registry, answer),
  });
  return { config, registry, ndn: config.name && ndnOf(config, config.name, ndn, trusted, metrics, log) };
}

function loginAt(config: RegistryConfig, warn: (message: string) => void) {
  try {
    return registryLogin(config, process.env, { warn });
  } catch (err: unknown) {
    throw new OptionError((err as Error).message, { cause: err });
  }
}

function ndnOf(
  config: RegistryConfig,
  name: NonNullable<RegistryConfig["name"]>,
  ndn: UplinkBlobs,
  trusted: TrustAnchors | undefined,
  metrics: ClientMetrics,
  log: Log,
) {
  const anchors = config.anchors.length > 0 ? loadAnchors(config) : trusted;
  if (!anchors) {
    log.info({ registry: config.registry }, "no --anchor: packets are not checked one by one, blobs as a whole are");
    return ndn.under(name);
  }
  for (const warning of anchors.warnings(name, Date.now())) log.warn(warning);
  return ndn.under(name, anchors, wrongPackets(metrics, log));
}

function loadAnchors({ anchors }: RegistryConfig): TrustAnchors {
  try {
    return TrustAnchors.load(anchors);
  } catch (err: unknown) {
    if (err instanceof AnchorError) throw new OptionError(`--anchor: ${err.message}`, { cause: err });
    throw err;
  }
}

function tlsOf(
  { tlsCert, tlsKey }: EndpointValues,
  log: Log,
): (Tls & { files: Parameters<typeof readTls>[0] }) | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) throw new OptionError("--tls-cert and --tls-key go together");
  const files = { certFile: tlsCert, keyFile: tlsKey };
  const tls = fromFile(() => readTls(files));
  for (const warning of tls.warnings) log.warn(warning);
  return { ...tls, files };
}

function loginOf({ htpasswd, tlsCert, listen: { host } }: EndpointValues, log: Log): BasicAuth | undefined {
  if (htpasswd === undefined) return undefined;
  if (tlsCert === undefined && !/^(127\.|\[?::1\]?$|localhost$)/.test(host)) {
    log.warn("--htpasswd without --tls-cert: passwords cross the network in the clear");
  }
  return fromFile(() => createBasicAuth(htpasswd, { log }));
}

function fromFile<T>(read: () => T): T {
  try {
    return read();
  } catch (err: unknown) {
    if (err instanceof ListenerFileError) throw new OptionError(err.message, { cause: err });
    throw err;
  }
}

/** A store that cannot be used costs its bytes, never a pull. */
async function openStore(
  { cacheDir, cacheSize }: EndpointValues,
  metrics: ClientMetrics,
  log: Log,
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
  { app }: ClientApp,
  directory: string,
  { tlsCert, htpasswd }: EndpointValues,
  log: Log,
): Promise<string | undefined> {
  if (tlsCert !== undefined || htpasswd !== undefined) return undefined;
  const { port, family, address } = app.server.address() as AddressInfo;
  const isAny = address === "::" || address === "0.0.0.0";
  const host = isAny ? "127.0.0.1" : family === "IPv6" ? `[${address}]` : address;
  const path = join(directory, "admin.json");
  try {
    await writeFile(path, `${JSON.stringify({ url: `http://${host}:${port}` })}\n`, { mode: 0o600 });
    return path;
  } catch (err: unknown) {
    log.warn({ err }, "ndn-registry cache will not find this process");
    return undefined;
  }
}

/** How long `/readyz` waits for the upstream. */
const readinessTimeoutMs = 2_000;

/** Ready while anything can be served: from an upstream, or over NDN. */
async function readinessOf(
  ndn: UplinkBlobs,
  mirrors: ReadonlyMap<string, Mirror>,
  alsoMissing: () => readonly string[],
) {
  const signal = AbortSignal.timeout(readinessTimeoutMs);
  const asked = [...mirrors.values()].map(async ({ registry }) => ({
    href: registry.base.href,
    isThere: await registry.isReachable(signal),
  }));
  const upstreams = await Promise.all(asked);
  const missing = upstreams.filter(({ isThere }) => !isThere).map(({ href }) => `upstream ${href} cannot be reached`);
  return {
    ready: upstreams.some(({ isThere }) => isThere) || ndn.isUp,
    missing: [...missing, ...ndn.missing(), ...alsoMissing()],
  };
}

function packageVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
