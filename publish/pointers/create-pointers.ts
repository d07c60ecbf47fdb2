/**
 * Puts together what answers for pointers and for what they point at.
 */
import type { Logger } from "pino";
import type { TokenBucket } from "#base/limits.ts";
import type { SegmentSize } from "#blob/names.ts";
import { serverName } from "#blob/pointer-names.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { ObjectDirectory } from "#ndn/producer.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import type { RepositoryIndex } from "../blob-locator.ts";
import type { PublishMetrics } from "../publish-metrics.ts";
import type { PublishPolicy } from "../range-reader.ts";
import { Catalog } from "./catalog.ts";
import type { ImageRegistry } from "./image-registry.ts";
import { Manifests } from "./manifests.ts";
import { PointedObjects } from "./pointed-objects.ts";
import { PointerDirectory } from "./pointer-directory.ts";
import { openServerId } from "./server-id.ts";
import { SignedPointers } from "./signed-pointers.ts";
import { Snapshots } from "./snapshots.ts";
import { type StoredTags, TagDigests } from "./tag-digests.ts";

/** What pointers are made with. */
export interface PointersOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  readonly policy: PublishPolicy;
  readonly images: ImageRegistry;
  readonly storedTags: StoredTags | undefined;
  /** Whether there is a pointer to the list of repositories. */
  readonly publishCatalog: boolean;
  readonly segmentBytes: SegmentSize;
  readonly index: RepositoryIndex;
  readonly vainOpens: TokenBucket;
  readonly stateDirectory: string | undefined;
  readonly onStateError: (err: Error) => void;
  readonly onUnique: (isAnswered: boolean) => void;
  readonly metrics: Pick<PublishMetrics, "pointers" | "registryFailures">;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** The parts that others need. */
export interface Pointers {
  readonly manifests: Manifests;
  readonly snapshots: Snapshots;
  readonly signed: SignedPointers;
  /** `P/32=server/<id>`: to be registered as well. */
  readonly ownName: Name;
  /** Answers for the names of pointers. @param others - Answers for all other names. */
  directory(others: ObjectDirectory): ObjectDirectory;
}

/** Put them together. */
export function createPointers(options: PointersOptions): Pointers {
  const { prefix, signer, policy, images: registry, segmentBytes, index, vainOpens, metrics, signal, log } = options;
  const ownName = serverName(prefix, openServerId(options.stateDirectory, options.onStateError));
  const manifests = new Manifests({ prefix, policy, registry, index, vainOpens });
  const snapshots = new Snapshots(prefix);
  const tagDigests = new TagDigests(registry, options.storedTags, signal);
  const onFailed = (what: object, reason: Error) => {
    metrics.registryFailures.inc();
    log.warn({ ...what, reason: reason.message }, "a pointer cannot be made now");
  };
  const catalog = options.publishCatalog
    ? new Catalog({ registry, policy, signal, onFailed: (reason) => onFailed({ kind: "catalog" }, reason) })
    : undefined;
  void catalog?.renew(); // it takes a while until it can be asked for
  const objects = new PointedObjects({ registry, manifests, snapshots, tagDigests, catalog, ownName });
  const signed = new SignedPointers({
    prefix,
    signer,
    objects,
    segmentBytes,
    onOutcome(target, outcome, reason) {
      metrics.pointers.inc({ kind: target.kind, outcome });
      if (reason && target.kind !== "catalog" && !signal.aborted) onFailed(target, reason);
    },
  });
  const { onUnique } = options;
  return {
    manifests,
    snapshots,
    signed,
    ownName,
    directory: (others) => new PointerDirectory({ prefix, policy, objects, pointers: signed, others, onUnique }),
  };
}
