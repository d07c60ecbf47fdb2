/**
 * Rights learned from what pullers ask for themselves.
 */
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { Puller } from "../registries/router.ts";
import { type Rights, refusals } from "./rights.ts";

/** A blob that the upstream was asked for in a puller's own request. */
export interface AskedBlob {
  readonly puller: Puller;
  readonly repository: string;
  /** As it was written; only of sha256 anything is remembered. */
  readonly digest: Digest | string;
}

/** Remember what the upstream's answer to a puller's own request says about its right, so that it is not asked again. */
export function learnRight(
  rights: Pick<Rights, "granted" | "refused">,
  { puller: { identity }, repository, digest: text }: AskedBlob,
  status: number,
  sizeBytes?: number,
): void {
  const digest = parseSha256(text);
  if (!digest) return;
  if (status === 200 || status === 206) rights.granted(identity, repository, digest, sizeBytes);
  else if (refusals.has(status)) rights.refused(identity, repository, digest);
}
