import { type Digest, parseSha256 } from "#oci/digest.ts";
import type { Puller } from "../registries/request-context.ts";
import type { Rights } from "./rights.ts";

/** Whose question about a blob the upstream has answered. */
export interface AskedBlob {
  readonly puller: Puller;
  readonly repository: string;
  /** As it was written; only of sha256 anything is remembered. */
  readonly digest: Digest | string;
}

/** Remember what the upstream's answer to a puller's own question says about its right, so that nobody asks again. */
export function learnRight(
  rights: Pick<Rights, "granted" | "refused">,
  { puller: { identity }, repository, digest: text }: AskedBlob,
  status: number,
  sizeBytes?: number,
): void {
  const digest = parseSha256(text);
  if (!digest) return;
  if (status === 200 || status === 206) rights.granted(identity, repository, digest, sizeBytes);
  else if (status === 401 || status === 403 || status === 404) rights.refused(identity, repository, digest);
}
