/**
 * In whose name the registry is asked, and for what.
 */
import { createHash } from "node:crypto";
import { isRepository } from "./reference.ts";
import type { Access } from "./token-auth.ts";

/**
 * In whose name a request is made.
 *
 * `login` is the client's own credentials, where it has them. `puller` is somebody's Authorization, passed on verbatim: a
 * challenge to it is the puller's to answer. A puller without one gets what `login` gets, or else what is anonymous; when
 * that is refused, the registry's own challenge comes back, so that the puller can log in.
 */
export type Auth = { readonly kind: "anonymous" } | { readonly kind: "login" } | PullerAuth;

/** Somebody's Authorization. */
export interface PullerAuth {
  readonly kind: "puller";
  readonly value: string | undefined;
  /** When `value` is refused, go on as without it. @defaultValue false */
  readonly orWithout?: boolean;
}

/** The puller, as a text without a secret in it; undefined for a puller without Authorization. */
export function pullerIdentity({ value, orWithout }: PullerAuth): string | undefined {
  if (value === undefined) return undefined;
  const hash = createHash("sha256").update(value).digest("base64url");
  return `${orWithout ? "puller or gateway" : "puller"} ${hash}`;
}

/** What reading this path needs: pulling from its repository, or else whatever the registry's challenge says. */
export function accessTo(rawPath: string): Access {
  const path = rawPath.split("?", 1)[0]!;
  const repository = /^\/v2\/(.+)\/(?:blobs\/[^/]+|manifests\/[^/]+|referrers\/[^/]+|tags\/list)$/.exec(path)?.[1];
  if (repository === undefined || !isRepository(repository)) return { key: path, scope: undefined };
  const scope = `repository:${repository}:pull`;
  return { key: scope, scope };
}
