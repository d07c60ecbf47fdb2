import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { Semaphore } from "#base/semaphore.ts";
import type { Bandwidth } from "#blob/bandwidth.ts";
import type { HedgeDelay } from "#blob/hedge.ts";
import type { Fetcher } from "#fetch/fetcher.ts";
import type { Digest } from "#oci/digest.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { NdnBlobs } from "#uplinks/uplink-blobs.ts";
import type { RequestContext } from "../registries/request-context.ts";
import type { Rights } from "../rights/rights.ts";
import type { BlobRecord } from "../status/blob-record.ts";
import type { ClientMetrics } from "../status/metrics.ts";
import type { PullLog } from "../status/pull-log.ts";

/** What every blob request of one registry needs; lives as long as the endpoint. */
export interface BlobServices {
  readonly registry: Pick<RegistryClient, "base" | "getBlob" | "headBlob">;
  readonly ndn: NdnBlobs | undefined;
  /** Whether the upstream is asked if the puller may have what is cached here or comes over NDN. */
  readonly authorize: "upstream" | "none";
  readonly rights: Rights;
  readonly denylist: DigestDenylist;
  readonly fetcher: Fetcher;
  /** Shared by all registries; undefined when nothing is cached. */
  readonly store: BlobStorePort | undefined;
  /** When the upstream is asked as well because NDN is late, and how many may be at a time. */
  readonly hedge: { readonly delay: HedgeDelay; readonly limit: Semaphore };
  readonly bandwidth: { readonly upstream: Bandwidth | undefined; readonly ndn: Bandwidth | undefined };
  readonly metrics: ClientMetrics;
  readonly pulls: PullLog;
  readonly log: Logger;
  readonly stallTimeoutMs: number | undefined;
}

/** One request for one blob. */
export interface BlobRequest extends RequestContext {
  readonly repository: string;
  readonly record: BlobRecord;
}

/** Digests that came over NDN with wrong bytes: for an hour they are not asked for there again. */
export type DigestDenylist = LRUCache<Digest, true>;

const maxDigests = 10_000;
const hourMs = 3_600_000;

/** An empty list; the oldest entries go when it is full. */
export function createDigestDenylist(): DigestDenylist {
  return new LRUCache<Digest, true>({ max: maxDigests, ttl: hourMs });
}
