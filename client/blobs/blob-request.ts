/**
 * A request for a blob, and what answering it uses; services live as long as the endpoint.
 */
import type { Bandwidth } from "#blob/bandwidth.ts";
import type { Fetcher } from "#fetch/fetcher.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { Authorize } from "../registries/client-config.ts";
import type { RequestContext } from "../registries/router.ts";
import type { Rights } from "../rights/rights.ts";
import type { BlobRecord } from "../status/blob-record.ts";
import type { ClientMetrics } from "../status/metrics.ts";
import type { BlobReads } from "../upstream/no-upstream.ts";
import type { BlobSources } from "./blob-sources.ts";

/** What serving from the cache, NDN or the upstream uses. */
export interface ServeServices {
  readonly sources: BlobSources;
  readonly fetcher: Fetcher;
  /** Shared by all registries; undefined when nothing is cached. */
  readonly store: BlobStorePort | undefined;
  /** Whether the upstream is asked if the puller may have what is cached here or comes over NDN. */
  readonly authorize: Authorize;
  readonly rights: Rights;
  readonly metrics: ClientMetrics;
}

/** What passing a request to the upstream uses. */
export interface PassServices {
  readonly registry: BlobReads;
  readonly rights: Rights;
  readonly bandwidth: { readonly upstream: Bandwidth | undefined };
}

/** One request for one blob. */
export interface BlobRequest extends RequestContext {
  readonly repository: string;
  readonly record: BlobRecord;
}
