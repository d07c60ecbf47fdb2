import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { BlobRecord } from "./blob-record.ts";
import type { Distrust } from "./distrust.ts";
import type { ClientMetrics } from "./metrics.ts";
import type { NdnBlobs } from "./ndn-blobs.ts";
import type { Rights } from "./rights/rights.ts";

/** What every blob request needs; lives as long as the endpoint. */
export interface BlobServices {
  readonly registry: RegistryClient;
  readonly ndn: NdnBlobs | undefined;
  /** Whether the upstream is asked if the puller may have what comes over NDN. */
  readonly authorize: "upstream" | "none";
  readonly authorization: Pick<Rights, "ask">;
  readonly distrust: Distrust;
  readonly metrics: ClientMetrics;
  readonly log: Logger;
  readonly stallTimeoutMs: number | undefined;
}

/** One request for one blob. */
export interface BlobRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly repository: string;
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
  readonly record: BlobRecord;
}
