import { LRUCache } from "lru-cache";
import type { Digest } from "#oci/digest.ts";

/** Digests that came over NDN with wrong bytes: for an hour they are not asked for there again. */
export type Distrust = Pick<LRUCache<Digest, true>, "has"> & { add(digest: Digest): void };

const maxDigests = 10_000;
const hourMs = 3_600_000;

/** An empty list; the oldest entries go when it is full. */
export function createDistrust(): Distrust {
  const digests = new LRUCache<Digest, true>({ max: maxDigests, ttl: hourMs });
  return { has: (digest) => digests.has(digest), add: (digest) => void digests.set(digest, true) };
}
