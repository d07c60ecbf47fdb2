import type { IncomingMessage } from "node:http";
import type { PullerAuth } from "#oci/auth.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { RegistryConfig } from "./client-config.ts";
import { pullerAuth } from "./puller-auth.ts";
import type { AskedAs } from "./router.ts";

/** Who asks. */
export interface Puller {
  /** In whose name the upstream is asked. */
  readonly auth: PullerAuth;
  /** Stands for it where rights are remembered, without a secret in it; undefined for nobody in particular. */
  readonly identity: string | undefined;
}

/** The puller of a request that was asked in this form. */
export async function pullerOf(
  { headers }: Pick<IncomingMessage, "headers">,
  askedAs: AskedAs,
  config: Pick<RegistryConfig, "forwardAuthorization">,
  registry: Pick<RegistryClient, "identityOf">,
  signal: AbortSignal,
): Promise<Puller> {
  const auth = pullerAuth(headers.authorization, askedAs, config);
  const identity = await registry.identityOf(auth, signal);
  return { auth, identity: identity === "anonymous" ? undefined : identity };
}
