/**
 * One request of a puller to one registry: what is known of it from the start, found out once.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PullerAuth } from "#oci/auth.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { signalOf } from "../http/response-body.ts";
import type { RegistryConfig } from "./client-config.ts";
import type { AskedAs, Route } from "./router.ts";

/** Who asks. */
export interface Puller {
  /** In whose name the upstream is asked. */
  readonly auth: PullerAuth;
  /** Stands for it where rights are remembered, without a secret in it; undefined for anonymous. */
  readonly identity: string | undefined;
}

/** What every handler is given. */
export interface RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query for the upstream, below its base; `request.url` is as the puller wrote it. */
  readonly url: string;
  readonly askedAs: AskedAs;
  /** The registry's name in the configuration, in its one spelling. */
  readonly registry: string;
  readonly puller: Puller;
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
}

/** The context of a request that the router has sent to this registry. @throws the signal's reason */
export async function contextOf(
  request: IncomingMessage,
  response: ServerResponse,
  { rawUrl: url, askedAs }: Route,
  config: Pick<RegistryConfig, "registry" | "forwardAuthorization">,
  registry: Pick<RegistryClient, "identityOf">,
): Promise<RequestContext> {
  const signal = signalOf(response);
  const auth = pullerAuth(request.headers.authorization, askedAs, config);
  const identity = await registry.identityOf(auth, signal);
  const puller = { auth, identity: identity === "anonymous" ? undefined : identity };
  return { request, response, url, askedAs, registry: config.registry, puller, signal };
}

/**
 * In whose name a puller's request goes to its registry.
 *
 * In path form the puller has logged in, if at all, at the default registry, and for a repository whose name has the
 * registry in front: other registries do not get to see that, and where it is sent and refused it counts as not sent.
 */
export function pullerAuth(
  authorization: string | undefined,
  askedAs: AskedAs,
  { forwardAuthorization }: Pick<RegistryConfig, "forwardAuthorization">,
): PullerAuth {
  if (askedAs.form !== "path") return { kind: "puller", value: authorization };
  if (!forwardAuthorization) return { kind: "puller", value: undefined };
  return { kind: "puller", value: authorization, orWithout: true };
}
