/**
 * One registry over NDN, put together.
 */
import type { Logger } from "pino";
import type { BlobRef } from "#blob/source.ts";
import type { SignedObjects } from "#uplinks/signed-objects.ts";
import type { RegistryPolicy } from "../registries/client-config.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { ClockOffsets } from "./clock-offsets.ts";
import { createNdnUpstream, type NdnUpstreamServices } from "./ndn-upstream.ts";
import { type Contents, PointedObjects } from "./pointed-objects.ts";
import type { PointerMemory } from "./pointer-memory.ts";
import { PointerReader } from "./pointer-reader.ts";
import { publishedSize } from "./published-blobs.ts";
import { Snapshots } from "./snapshots.ts";

/** What it is made of. */
export interface OverNdnParts {
  readonly objects: SignedObjects;
  readonly memory: PointerMemory;
  readonly contents: Contents;
  readonly policy: Pick<RegistryPolicy, "maxAgeMs" | "staleTagsMs">;
  readonly listed: NdnUpstreamServices["listed"];
  readonly log: Logger;
}

/** A registry as its servers on NDN sign it. */
export interface OverNdn {
  /** It is asked as one over HTTPS is. */
  readonly upstream: Upstream;
  /** The size of a blob that is published, so that everyone may have it; undefined when it is not, or no one says so. */
  readonly publishedSize: (blob: BlobRef, signal: AbortSignal) => Promise<number | undefined>;
}

export function openOverNdn({ objects, memory, contents, policy, listed, log }: OverNdnParts): OverNdn {
  const judging = { objects, memory, clocks: new ClockOffsets(log), maxAgeMs: policy.maxAgeMs };
  const pointers = new PointerReader(judging);
  const pointed = new PointedObjects(objects, contents);
  const snapshots = new Snapshots({ pointers, objects: pointed, staleMs: policy.staleTagsMs });
  return {
    upstream: createNdnUpstream({ pointers, objects: pointed, snapshots, listed, log }),
    publishedSize: (blob, signal) => publishedSize(judging, blob, signal),
  };
}
