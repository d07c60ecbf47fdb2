/**
 * A pull as it is shown, and what it is made of.
 */
import type { BytesBySource } from "./metrics.ts";

/** Two clocks, in milliseconds: one to measure with, which never goes back, and the time since 1970 to show. */
export interface Clock {
  readonly now: () => number;
  readonly date: () => number;
}

/** Who pulls what. */
export interface PullKey {
  /** The puller's address. */
  readonly client: string;
  /** The registry's name here. */
  readonly registry: string;
  readonly repository: string;
}

/** How far the answer to a blob request is. */
export interface BlobProgress {
  /** Bytes that were handed to the puller. */
  readonly bytes: Partial<BytesBySource>;
  /** Bytes that the answer will have; null while unknown. */
  readonly sizeBytes: number | null;
  /** Whether only a part of the blob was asked for. @defaultValue false */
  readonly isPart?: boolean | undefined;
  /** Why bytes came from the upstream and not over NDN, in words; undefined while none did. */
  readonly whyNotNdn?: string | undefined;
  /** Why it has failed, in words. */
  readonly reason?: string | undefined;
}

/** How a manifest request was answered. */
export interface ManifestAnswer {
  readonly status: number;
  /** That of the manifest, as far as the answer names one. */
  readonly digest?: string | undefined;
  /** Where it came from, see `ManifestSource`; undefined for a refusal. */
  readonly from?: string | undefined;
}

/** How a pull stands; `checked` asked for manifests only, and so has everything already. */
export type PullOutcome = "running" | "complete" | "failed" | "cancelled" | "refused" | "checked";

/** A pull, to be shown. */
export interface PullView extends PullKey {
  readonly id: number;
  /** Tag, or digest when no tag was asked for; null when no manifest was seen. */
  readonly reference: string | null;
  /** Milliseconds since 1970. */
  readonly beganAt: number;
  readonly durationMs: number;
  readonly bytes: BytesBySource;
  readonly blobs: { readonly live: number; readonly complete: number; readonly failed: number };
  readonly outcome: PullOutcome;
  /** Why it failed or was refused. */
  readonly reason: string | null;
  /** Why bytes came from the upstream and not over NDN. */
  readonly whyNotNdn: string | null;
  /** Where its manifest came from last: ndn, upstream or store; null while none has come. */
  readonly manifestFrom: string | null;
}
