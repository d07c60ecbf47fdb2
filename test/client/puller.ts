import type { Puller } from "#client/registries/puller.ts";

/** The puller that sends this Authorization, or none. */
export function by(authorization: string | undefined): Puller {
  return { auth: { kind: "puller", value: authorization }, identity: authorization };
}
