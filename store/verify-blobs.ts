/**
 * Is what is cached still what it was when it was written?
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import type { CachedBlob } from "./store-port.ts";

/** How far a check of all blobs has come. */
export interface VerifyProgress {
  readonly checked: number;
  readonly total: number;
  readonly checkedBytes: number;
}

/** What came of it. */
export interface VerifyResult {
  readonly checked: number;
  /** Removed, because their bytes were wrong or could not be read. */
  readonly bad: Digest[];
}

/** What a check needs of the store. */
export interface VerifiableBlobs {
  digests(): Digest[];
  /** Open it without counting this as a use. */
  inspect(digest: Digest): Promise<CachedBlob | undefined>;
  /** Remove a blob whose bytes are wrong, and stop those that read it from the file that is kept open for all. */
  condemn(digest: Digest, reason: Error): Promise<void>;
}

/**
 * Hash every blob, pausing as long as working, for pullers are served meanwhile.
 *
 * @throws the signal's reason.
 */
export async function verifyBlobs(
  blobs: VerifiableBlobs,
  onProgress: (progress: VerifyProgress) => void,
  signal: AbortSignal,
): Promise<VerifyResult> {
  const digests = blobs.digests();
  const bad: Digest[] = [];
  let [checked, checkedBytes] = [0, 0];
  for (const digest of digests) {
    signal.throwIfAborted();
    const blob = await blobs.inspect(digest);
    if (!blob) continue; // evicted meanwhile
    const fault = await faultOf(blob, signal);
    if (fault) {
      bad.push(digest);
      await blobs.condemn(digest, fault);
    }
    checked += 1;
    checkedBytes += blob.sizeBytes;
    onProgress({ checked, total: digests.length, checkedBytes });
  }
  return { checked, bad };
}

/** What is wrong with the blob, which is closed. */
async function faultOf(blob: CachedBlob, signal: AbortSignal): Promise<Error | undefined> {
  const hash = createHash("sha256");
  try {
    let since = performance.now();
    for await (const piece of blob.read(0, blob.sizeBytes)) {
      hash.update(piece);
      await delay(Math.min(performance.now() - since, longestPauseMs), undefined, { signal });
      since = performance.now();
    }
  } catch (err: unknown) {
    signal.throwIfAborted();
    return new Error(`${blob.digest} cannot be read`, { cause: err });
  } finally {
    await blob.close();
  }
  const found = digestOfHash(hash.digest());
  return found === blob.digest ? undefined : new Error(`${blob.digest} has the bytes of ${found}`);
}

const longestPauseMs = 1_000;
