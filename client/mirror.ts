/**
 * One registry of the configuration, and the paths to it.
 */
import type { Logger } from "pino";
import { AnchorError, TrustAnchors } from "#ndn/trust/anchors.ts";
import { RegistryClient } from "#oci/registry-client.ts";
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
  readonly registry: RegistryClient;
  /** Without it every blob comes from the upstream. */
  readonly ndn?: NdnBlobs | undefined;
}

/** What mirrors are opened with. */
export interface MirrorParts {
  readonly ndn: UplinkBlobs;
  readonly metrics: ClientMetrics;
  readonly log: Logger;
  /** Where logins are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates that are trusted where the configuration names none. */
  readonly trusted?: TrustAnchors | undefined;
}

/** Open one registry. @throws ClientOptionError when its login or its anchors cannot be used. */
export function openMirror(config: RegistryConfig, parts: MirrorParts): Mirror {
  const { metrics } = parts;
  const registry = new RegistryClient({
    base: config.upstream,
    credentials: loginAt(config, parts),
    onAnswer: (answer) => noteUpstreamAnswer(metrics, config.registry, answer),
  });
  return { config, registry, ndn: config.name && ndnOf(config, config.name, parts) };
}

function loginAt(config: RegistryConfig, { env, log }: MirrorParts) {
  try {
    return registryLogin(config, env, { warn: (message) => log.warn({ registry: config.registry }, message) });
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
