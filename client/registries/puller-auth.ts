import type { PullerAuth } from "#oci/auth.ts";
import type { RegistryConfig } from "./client-config.ts";
import type { AskedAs } from "./router.ts";

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
