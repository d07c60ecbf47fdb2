/**
 * `ndn-registry client`: the puller's half.
 */
import { Registry } from "prom-client";
import { createClientApp } from "#client/app.ts";
import { createClientMetrics } from "#client/metrics.ts";
import { UplinkBlobs } from "#client/uplink-blobs.ts";
import { parseFaceUrl } from "#ndn/face-url.ts";
import { SocketUplink } from "#ndn/uplink.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { graceMs, runUntilSignal } from "./lifetime.ts";
import { listenError } from "./listen-error.ts";
import { createLogger } from "./logger.ts";
import type { Values } from "./option.ts";
import { type clientOptions, defaultUplink } from "./option-table.ts";

/** Run until a signal; resolves when everything is closed. @throws StartError, OptionError */
export async function runClient(values: Values<typeof clientOptions>): Promise<void> {
  const log = createLogger(values);
  const urls = values.uplink.length > 0 ? values.uplink : [parseFaceUrl(defaultUplink)];
  const ndn = new UplinkBlobs(
    urls.map((url) => new SocketUplink(url)),
    values.name,
    consumerOptions(values),
    log,
  );
  const endpoint = await openEndpoint(values, ndn, new Registry(), log);
  ndn.open();
  await runUntilSignal(log, async () => {
    await endpoint.close();
    ndn.close();
  });
}

type EndpointValues = Pick<
  Values<typeof clientOptions>,
  "upstream" | "listen" | "authorize" | "stallTimeout" | "maxCwnd"
>;

/** What the options say of fetching over NDN. */
export function consumerOptions(values: Pick<EndpointValues, "stallTimeout" | "maxCwnd">) {
  const stallTimeoutMs = values.stallTimeout === undefined ? undefined : values.stallTimeout * 1000;
  return { maxWindow: values.maxCwnd, stallTimeoutMs };
}

/** How long `/readyz` waits for the upstream. */
const readinessTimeoutMs = 2_000;

/** Ready while anything can be served: from the upstream, or over NDN. */
async function readinessOf(ndn: UplinkBlobs, registry: RegistryClient, alsoMissing: () => readonly string[]) {
  const isUpstreamThere = await registry.isReachable(AbortSignal.timeout(readinessTimeoutMs));
  const missing = isUpstreamThere ? [] : [`upstream ${registry.base.href} cannot be reached`];
  return {
    ready: isUpstreamThere || ndn.source() !== undefined,
    missing: [...missing, ...ndn.missing(), ...alsoMissing()],
  };
}

/** Open the registry endpoint on `--listen`; `close` ends it within the grace period; `/readyz` names `alsoMissing` too. */
export async function openEndpoint(
  values: EndpointValues,
  ndn: UplinkBlobs,
  metrics: Registry,
  log: ReturnType<typeof createLogger>,
  alsoMissing: () => readonly string[] = () => [],
): Promise<{ url: string; close(): Promise<void> }> {
  const registry = new RegistryClient({ base: values.upstream });
  ndn.expose(metrics);
  const endpoint = await createClientApp({
    upstream: values.upstream,
    registry,
    ndn,
    authorize: values.authorize,
    log,
    metrics: createClientMetrics(metrics),
    readiness: () => readinessOf(ndn, registry, alsoMissing),
  });
  const { host, port } = values.listen;
  const url = await endpoint.app.listen({ host, port, listenTextResolver: () => "" }).catch((err: unknown) => {
    throw listenError("listen", `${host}:${port}`, err);
  });
  log.info({ listen: url, upstream: values.upstream.href }, "endpoint is open");
  return {
    url,
    async close() {
      await endpoint.shutdown(graceMs);
      await registry.close();
    },
  };
}
