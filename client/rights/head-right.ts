/**
 * The question itself: may this puller have this blob?
 */
import type { BlobRef } from "#blob/source.ts";
import type { PullerAuth } from "#oci/auth.ts";
import { type RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import type { Right } from "./rights.ts";

/**
 * Ask the upstream with a HEAD in the puller's name. The question outlives the puller that asked first: others may be
 * waiting for the same answer.
 *
 * @throws RegistryUnreachable when there is no answer within `timeoutMs`.
 */
export async function headRight(
  registry: Pick<RegistryClient, "headBlob">,
  auth: PullerAuth,
  { repository, digest }: BlobRef,
  timeoutMs: number,
): Promise<Right> {
  const signal = AbortSignal.timeout(timeoutMs);
  const ask = () => registry.headBlob(repository, digest, { auth, signal });
  try {
    // A connection that was kept alive may have died unseen: once more.
    const { status, headers } = await ask().catch((err: unknown) => {
      if (signal.aborted) throw err;
      return ask();
    });
    if (status < 200 || status >= 400) return { kind: "refused", status };
    return { kind: "granted", sizeBytes: parseLength(headers["content-length"]) };
  } catch (err: unknown) {
    if (err instanceof RegistryUnreachable) throw err;
    throw new RegistryUnreachable(`HEAD of ${digest} brought no answer in ${timeoutMs} ms`, { cause: err });
  }
}

function parseLength(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
