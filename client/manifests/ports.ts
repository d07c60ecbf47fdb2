/**
 * What the manifest routes need from the rest of the endpoint.
 */
import type { Logger } from "pino";
import type { Digest } from "#oci/digest.ts";
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

/** What is served to whom while the upstream does not answer. */
export type OfflinePolicy = "known-pullers" | "anyone" | "nobody";

/** Who may pull what, as far as it is remembered; `credential` is the puller's Authorization, undefined for anonymous. */
export interface ManifestRights {
  readonly offline: OfflinePolicy;
  /** The upstream has answered 2xx to this puller. */
  granted(credential: string | undefined, repository: string, digest: Digest): void;
  /** The upstream has said no to this puller: 401, 403 or 404. */
  refused(credential: string | undefined, repository: string, digest: Digest): void;
  /** Whether the upstream has granted it so lately that it need not be asked again. */
  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** Whether the puller may have it while the upstream does not answer; by policy. */
  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** Whether anything of this registry was ever granted to this puller, and is not forgotten. */
  isKnown(credential: string | undefined): boolean;
}

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
