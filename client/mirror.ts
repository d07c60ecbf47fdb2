/**
 * One registry of the configuration, and the paths to it.
 */
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { AnchorError, TrustAnchors } from "#ndn/trust/anchors.ts";
import { readCertificates } from "#oci/certificates.ts";
import type { Network, RegistryTls } from "#oci/connections.ts";
import { RegistryClient, type RegistryClientOptions } from "#oci/registry-client.ts";
import type { NdnBlobs, UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import type { RegistryConfig } from "./registries/client-config.ts";
import { registryLogin } from "./registries/login.ts";
import type { ClientMetrics } from "./status/metrics.ts";
import { noteUpstreamAnswer } from "./status/upstream-answer.ts";
import { wrongPackets } from "./status/wrong-packets.ts";

/** What an operator has said cannot be done; the message says what to change. */
export class ClientOptionError extends Error {
  override readonly name = "ClientOptionError";
}

/** A registry, and the paths to it; these stay the caller's to close. */
export interface Mirror {
  readonly config: RegistryConfig;
  /** Undefined where it is reached over NDN alone. */
  readonly registry: RegistryClient | undefined;
  /** Without it every blob comes from the upstream. */
  readonly ndn?: NdnBlobs | undefined;
}

/** What mirrors are opened with. */
export interface MirrorParts {
  readonly ndn: UplinkBlobs;
  readonly metrics: ClientMetrics;
  readonly log: Logger;
  /** How registries are reached. @defaultValue directly */
  readonly network?: Network | undefined;
  /** Where logins are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates that are trusted where the configuration names none. */
  readonly trusted?: TrustAnchors | undefined;
}

/** Open one registry. @throws ClientOptionError when its login, its certificates or its anchors cannot be used. */
export function openMirror(config: RegistryConfig, parts: MirrorParts): Mirror {
  const { upstream } = config;
  const registry = upstream && registryOf(config, upstream, parts);
  return { config, registry, ndn: config.name && ndnOf(config, config.name, parts) };
}

function registryOf(config: RegistryConfig, base: URL, parts: MirrorParts): RegistryClient {
  const { registry, tls: files } = config;
  const { metrics, network, log } = parts;
  const credentials = loginAt(config, base, parts);
  const proxy = network?.proxyFor(base)?.host;
  if (proxy !== undefined) log.info({ registry, proxy }, "the upstream is reached through a proxy");
  try {
    const tls = files && tlsIn(files);
    const onAnswer: RegistryClientOptions["onAnswer"] = (answer) => noteUpstreamAnswer(metrics, registry, answer);
    return new RegistryClient({ base, credentials, network, tls, onAnswer });
  } catch (err: unknown) {
    throw new ClientOptionError(`--config: ca, cert and key of ${registry}: ${(err as Error).message}`, { cause: err });
  }
}

function tlsIn({ ca, cert, key }: NonNullable<RegistryConfig["tls"]>): RegistryTls {
  return {
    ca: ca === undefined ? undefined : readCertificates(ca),
    cert: cert === undefined ? undefined : readCertificates(cert).join("\n"),
    key: key === undefined ? undefined : readFileSync(key, "utf8"),
  };
}

function loginAt(config: RegistryConfig, upstream: URL, { env, log }: MirrorParts) {
  try {
    return registryLogin({ ...config, upstream }, env, {
      warn: (message) => log.warn({ registry: config.registry }, message),
    });
  } catch (err: unknown) {
    throw new ClientOptionError((err as Error).message, { cause: err });
  }
}

function ndnOf(
  config: RegistryConfig,
  name: NonNullable<RegistryConfig["name"]>,
  { ndn, trusted, metrics, log }: MirrorParts,
): NdnBlobs {
  const anchors = config.anchors.length > 0 ? loadAnchors(config) : trusted;
  if (!anchors) {
    log.info({ registry: config.registry }, "no --anchor: packets are not checked one by one, blobs as a whole are");
    return ndn.under(name);
  }
  log.info({ registry: config.registry, anchors: anchors.list() }, "anchors are loaded: every packet is checked");
  for (const warning of anchors.warnings(name, Date.now())) log.warn(warning);
  return ndn.under(name, anchors, wrongPackets(metrics, log));
}

function loadAnchors({ anchors }: RegistryConfig): TrustAnchors {
  try {
    return TrustAnchors.load(anchors);
  } catch (err: unknown) {
    if (err instanceof AnchorError) throw new ClientOptionError(`--anchor: ${err.message}`, { cause: err });
    throw err;
  }
}
