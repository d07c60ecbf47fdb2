/**
 * `ndn-registry start`: both halves in one process, joined by a private face. No forwarder is needed.
 */
import { openClient } from "#client/client.ts";
import { openParts } from "#client/parts.ts";
import { singleRegistry } from "#client/registries/client-config.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { readCertificate } from "#ndn/trust/certificate.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import { createServer } from "#server/create-server.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import { consumerOptions } from "./client.ts";
import { endpointError, endpointOptions } from "./endpoint.ts";
import { createLogger } from "./logger.ts";
import { networkOf } from "./network/network.ts";
import type { Values } from "./option.ts";
import { Hangups } from "./process/hangups.ts";
import { graceMs, runUntilSignal } from "./process/lifetime.ts";
import { programMetrics } from "./program-metrics.ts";
import { publishingOf, serverError } from "./server.ts";
import type { startOptions } from "./start-options.ts";

/** Client and server in one process. */
export interface BothHalves {
  /** Where pullers reach it, see `Client`. */
  readonly urls: readonly string[];
  /** Read files again; never rejects. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** Start both halves. @throws StartError, OptionError, KeychainError */
export async function startBothHalves(
  values: Values<typeof startOptions>,
  log: ReturnType<typeof createLogger>,
): Promise<BothHalves> {
  const metrics = programMetrics();
  const network = networkOf(process.env, "upstream-ca", values.upstreamCa);
  const options = { ...publishingOf(values, values.upstream, { network, log }), status: undefined, metrics, log };
  const server = await createServer(options).catch((err: unknown) => {
    throw serverError(err, values);
  });
  const ndn = new UplinkBlobs([new MemoryUplink(server.producer)], consumerOptions(values), log);
  ndn.open();
  const closeServer = async () => {
    ndn.close();
    await server.close();
  };
  try {
    const trusted = trustedBy(server.identity);
    const options = endpointOptions({
      ...values,
      config: configOf(values),
      network,
      readConfig: () => configOf(values),
      readNetwork: () => networkOf(process.env, "upstream-ca", values.upstreamCa),
      ndn,
      metrics,
      log,
      hedge: "off", // both halves ask the same registry
      trusted,
      alsoMissing: () => server.missing(),
    });
    const client = await openClient(await openParts(options));
    return {
      urls: client.urls,
      async reload() {
        await server.reload();
        trusted.trust(readCertificate(server.identity.certificate));
        await client.reload();
      },
      async close() {
        await client.close(graceMs);
        await closeServer();
      },
    };
  } catch (err: unknown) {
    await closeServer();
    throw endpointError(err);
  }
}

function configOf({ name, upstream, anchor, authorize, offline, prefetch }: Values<typeof startOptions>) {
  return singleRegistry({
    name,
    upstream,
    anchors: anchor,
    authorize,
    offline,
    prefetch: prefetch === "on",
    manifests: "https", // the server in the same process asks the same registry
  });
}

/** One half trusts the other. */
function trustedBy(identity: Pick<Identity, "certificate">): TrustAnchors {
  const anchors = TrustAnchors.load([]);
  anchors.trust(readCertificate(identity.certificate));
  return anchors;
}

/** Docker takes `localhost` without TLS; a socket file it does not take at all. */
function nextStep(urls: readonly string[]): string {
  const url = urls.find((one) => !one.startsWith("unix:"));
  if (url === undefined) return "";
  const host = new URL(url).host.replace(/^(127\.0\.0\.1|\[::1\])/, "localhost");
  return ` Next:\n\n    docker pull ${host}/library/alpine`;
}

/** Run until a signal; resolves when everything is closed. */
export async function runStart(values: Values<typeof startOptions>): Promise<void> {
  const hangups = new Hangups();
  const log = createLogger(values);
  const both = await startBothHalves(values, log);
  process.stdout.write(`
ndn-registry serves ${values.upstream.href} on ${both.urls.join(", ")}.${nextStep(both.urls)}

Each blob is logged with where its bytes came from and how fast. Ctrl-C ends it.
`);
  await runUntilSignal(log, both, hangups);
}
