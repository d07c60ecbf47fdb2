import { type Digest, parseSha256 } from "#oci/digest.ts";
import type { RequestContext } from "../registries/request-context.ts";
import { sentBy } from "../upstream/proxy-headers.ts";
import type { Question } from "../upstream/upstream.ts";
import { type RepositoryKey, repositoryKey } from "./repository-key.ts";

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
