/**
 * How one registry is reached: over HTTPS, over NDN, or over HTTPS and where that fails over NDN.
 */
import type { RegistryClient } from "#oci/registry-client.ts";
import type { BlobSizes } from "./manifests/blob-sizes.ts";
import type { Mirror } from "./mirror.ts";
import { askNdnAfter, askNdnFirst } from "./pointers/ask-over-ndn.ts";
import { withListsOverNdn } from "./pointers/lists-over-ndn.ts";
import { type OverNdn, openOverNdn } from "./pointers/over-ndn.ts";
import type { SharedServices } from "./registry-service.ts";
import { noteUpstreamAnswer } from "./status/upstream-answer.ts";
import { blobsWithoutChallenge } from "./upstream/no-challenges.ts";
import { type BlobReads, noUpstream } from "./upstream/no-upstream.ts";
import { createProxy } from "./upstream/proxy.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { type Ask, createAsk } from "./upstream/upstream-question.ts";

/** What everything that is asked of a registry goes through. */
export interface RegistryAccess {
  readonly upstream: Upstream;
  /** Asks for manifests and pings. */
  readonly ask: Ask;
  readonly blobs: BlobReads;
  readonly pullers: Pick<RegistryClient, "identityOf">;
  /** Whether manifests may come over NDN while the upstream does not answer. */
  readonly hasFallback: boolean;
  /** See `OverNdn`; undefined where only the upstream says who may have a blob. */
  readonly publishedSize?: OverNdn["publishedSize"];
  close(): Promise<void>;
}

/** Over NDN who does not answer soon is not waited for while something else may. */
const ndnTimes = { withCacheMs: 2_000, afterSilenceMs: 300 };

export function openRegistryAccess(mirror: Mirror, services: SharedServices, sizes: BlobSizes): RegistryAccess {
  const { config, registry } = mirror;
  if (!registry || !config.upstream) return overNdnAlone(mirror, services, sizes);
  const { parts } = services;
  const { log, metrics, login } = parts;
  const hidesChallenges = login !== undefined;
  const onAnswer = (answer: Parameters<typeof noteUpstreamAnswer>[2]) =>
    noteUpstreamAnswer(metrics, config.registry, answer);
  const upstream = createProxy({ upstream: config.upstream, registry, log, metrics, onAnswer, hidesChallenges });
  const https = createAsk(upstream, { withCacheMs: parts.tagTimeoutMs });
  const access = {
    upstream,
    ask: https,
    blobs: hidesChallenges ? blobsWithoutChallenge(registry) : registry,
    pullers: registry,
    hasFallback: false,
    close: upstream.close,
  };
  // What only NDN says is a grant to everyone.
  const isGrant = config.offline !== "nobody" || config.authorize === "none";
  const ndn = config.manifests !== "https" && isGrant ? overNdn(mirror, services, undefined) : undefined;
  if (!ndn) return access;
  const overNdnAsk = createAsk(ndn.upstream, ndnTimes);
  const isFirst = config.manifests === "ndn";
  const ask = isFirst ? askNdnFirst(https, overNdnAsk) : askNdnAfter(https, overNdnAsk);
  const both = { ...access, ask, upstream: withListsOverNdn(upstream, ask) };
  return isFirst ? both : { ...both, hasFallback: true, publishedSize: ndn.publishedSize };
}

function overNdnAlone(mirror: Mirror, services: SharedServices, sizes: BlobSizes): RegistryAccess {
  const ndn = overNdn(mirror, services, (repository, digest) => sizes.manifest({ repository, digest }));
  if (!ndn) throw new Error(`${mirror.config.registry} has neither an upstream nor an anchor`); // parsed so
  const ask = createAsk(ndn.upstream, { withCacheMs: services.parts.tagTimeoutMs });
  return {
    upstream: ndn.upstream,
    ask,
    blobs: noUpstream,
    pullers: noUpstream,
    hasFallback: false,
    close: () => Promise.resolve(),
  };
}

/** Undefined without an anchor: then no one on NDN can be believed. */
function overNdn(
  { config, ndn }: Mirror,
  { parts: { log }, contents, pointerMemory }: SharedServices,
  listed: Parameters<typeof openOverNdn>[0]["listed"],
): OverNdn | undefined {
  const objects = ndn?.objects;
  return objects && openOverNdn({ objects, memory: pointerMemory(), contents, policy: config, listed, log });
}
