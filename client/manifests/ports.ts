/**
 * What the manifest routes need from the rest of the endpoint.
 */
import type { Logger } from "pino";
import type { Digest } from "#oci/digest.ts";
import type { Rights } from "../rights/rights.ts";
import type { HeadTimeouts, Upstream } from "../upstream/upstream.ts";
import type { ManifestCache } from "./manifest-cache.ts";

/** Bytes of manifests by digest. */
export interface ManifestContents {
  has(digest: Digest): boolean;
  /** The verified bytes; undefined when they are not cached, or not as they should be. */
  get(digest: Digest): Promise<Buffer | undefined>;
  /** Keep bytes that hash to `digest`; false when they cannot be kept now. */
  put(digest: Digest, bytes: Buffer): Promise<boolean>;
  /** Never rejects. */
  delete(digest: Digest): Promise<void>;
}

/** Who may pull what, as far as it is remembered. */
export type ManifestRights = Pick<Rights, "offline" | "granted" | "refused" | "isFresh" | "mayOffline" | "isKnown">;

/** A manifest that has just been served, with its verified bytes. */
export interface ServedManifest {
  readonly repository: string;
  readonly digest: Digest;
  /** Content-Type as it was sent. */
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly credential: string | undefined;
  readonly by: AnsweredBy;
}

/** What answered a request: the upstream, the cache with the upstream's consent, or the cache in its place. */
export type AnsweredBy = "upstream" | "cache" | "stale";

/** What the manifest routes of one registry are made of; everything stays the caller's to close. */
export interface ManifestServices {
  /** Which registry this is, in its one spelling (`canonicalRegistry`). */
  readonly registry: string;
  readonly upstream: Upstream;
  /** Shared by all registries. */
  readonly cache: ManifestCache;
  /** The same that `cache` was made with. */
  readonly contents: ManifestContents;
  readonly rights: ManifestRights;
  readonly log: Logger;
  /** Called when a manifest has been served to a GET, whole and verified; what it throws is logged. */
  readonly onManifest?: ((manifest: ServedManifest) => void) | undefined;
  /** Called with each answer that is not broken off, for the metrics. */
  readonly onAnswer?: ((what: "ping" | "manifest", by: AnsweredBy) => void) | undefined;
  /** Called when the upstream gave no answer: with the error, or the status that is its own failure. */
  readonly onUpstreamError?: ((failure: unknown) => void) | undefined;
  /** Whether pullers have a login of this endpoint, and so must not answer the upstream's challenges. @defaultValue false */
  readonly hidesChallenges?: boolean | undefined;
  readonly timeouts?: Partial<HeadTimeouts> | undefined;
}
