/**
 * One GET or HEAD of a manifest, what it may be answered from, and who is notified of the answer.
 */
import type { Logger } from "pino";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { RequestContext } from "../registries/router.ts";
import type { Rights } from "../rights/rights.ts";
import { sentBy } from "../upstream/proxy-headers.ts";
import type { Question } from "../upstream/upstream.ts";
import type { ManifestContents } from "./contents.ts";
import type { ManifestCache } from "./manifest-cache.ts";
import { type RepositoryKey, repositoryKey } from "./manifest-names.ts";

/** The manifests that are cached, of all registries, and who may have them. */
export interface CachedManifests {
  readonly cache: ManifestCache;
  /** The same that `cache` was made with. */
  readonly contents: ManifestContents;
  /** Of this registry. */
  readonly rights: ManifestRights;
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

/** What answered a request: the upstream, a server over NDN, the cache with their consent, or the cache in their place. */
export type AnsweredBy = "upstream" | "ndn" | "cache" | "stale";

/** Who is notified of answers. */
export interface AnswerEvents {
  readonly log: Logger;
  /** Called when a manifest has been served to a GET, whole and verified; what it throws is logged. */
  readonly onManifest?: ((manifest: ServedManifest, asked: ManifestRequest) => void) | undefined;
  /** Called with each answer that is not broken off, for the metrics. */
  readonly onAnswer?: ((what: "ping" | "manifest", by: AnsweredBy) => void) | undefined;
  /** Called when the upstream gave no answer: with the error, or the status that is its own failure. */
  readonly onUpstreamError?: ((failure: unknown) => void) | undefined;
}

/** A GET or HEAD of a manifest that is being answered. */
export interface ManifestRequest extends RequestContext {
  readonly repository: string;
  readonly key: RepositoryKey;
  /** Of the path: a tag or a sha256 digest, one of the two. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
  readonly credential: string | undefined;
  /** What the upstream is asked, with HEAD unless said otherwise. */
  readonly question: Question;
}

/** Undefined for digests of other algorithms, which are the registry's to answer. */
export function manifestRequest(
  context: RequestContext,
  { repository, reference }: { repository: string; reference: string },
): ManifestRequest | undefined {
  const digest = parseSha256(reference);
  if (!digest && reference.includes(":")) return undefined;
  const { request, puller, signal } = context;
  const { accept } = request.headers;
  return {
    ...context,
    repository,
    key: repositoryKey(context.registry, repository),
    tag: digest ? undefined : reference,
    digest,
    credential: puller.identity,
    question: { repository, reference, accept, puller, method: "HEAD", sent: sentBy(context), signal },
  };
}
