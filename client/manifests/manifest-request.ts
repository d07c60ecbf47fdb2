import type { IncomingMessage, ServerResponse } from "node:http";
import { type Digest, parseSha256 } from "#oci/digest.ts";
import { signalOf } from "../http/response-body.ts";
import type { ManifestServices } from "./ports.ts";
import { type RepositoryKey, repositoryKey } from "./repository-key.ts";

/** A GET or HEAD of a manifest that is being answered. */
export interface ManifestRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
  readonly repository: string;
  readonly key: RepositoryKey;
  /** Of the path: a tag or a sha256 digest, one of the two. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
  readonly credential: string | undefined;
}

/** Undefined for digests of other algorithms, which are the registry's to answer. */
export function manifestRequest(
  services: ManifestServices,
  request: IncomingMessage,
  response: ServerResponse,
  { repository, reference }: { repository: string; reference: string },
): ManifestRequest | undefined {
  const digest = parseSha256(reference);
  if (!digest && reference.includes(":")) return undefined;
  return {
    request,
    response,
    signal: signalOf(response),
    repository,
    key: repositoryKey(services.registry, repository),
    tag: digest ? undefined : reference,
    digest,
    credential: credentialOf(services, request),
  };
}

/** Who asks. */
export function credentialOf(services: ManifestServices, request: IncomingMessage): string | undefined {
  return services.credentialOf ? services.credentialOf(request) : request.headers.authorization;
}
