/**
 * What a server publishes: the blobs of one registry, and the certificates that say who signed their lists.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { TokenBucket } from "#base/limits.ts";
import type { SegmentSize } from "#blob/names.ts";
import { highWaterOfAllBytes } from "#ndn/face/face.ts";
import { type Name, nameKey } from "#ndn/packet/name.ts";
import { SegmentProducer } from "#ndn/producer.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import type { Digest } from "#oci/reference.ts";
import { BlobDirectory } from "./blob-directory.ts";
import { BlobLocator, RepositoryIndex } from "./blob-locator.ts";
import { openListFiles } from "./digest-list-files.ts";
import { DigestLists } from "./digest-lists.ts";
import { PageMemory } from "./page-memory.ts";
import { ReadLimit } from "./page-stream.ts";
import { createPointers } from "./pointers/create-pointers.ts";
import type { ImageRegistry } from "./pointers/image-registry.ts";
import type { StoredTags } from "./pointers/tag-digests.ts";
import { createPublishMetrics, exposeProducer } from "./publish-metrics.ts";
import type { PublishPolicy, RangeReader } from "./range-reader.ts";
import type { BlobPagesContext } from "./registry-read.ts";
import { SignedMetadata } from "./signed-metadata.ts";

/** How many openings that come to nothing strangers can cause; what is there may be asked for by anyone. */
const vainOpensPerSecond = 100;
const vainOpensAtOnce = 500;

/** What is published; everything is already parsed and validated. */
export interface PublicationOptions {
  readonly prefix: Name;
  readonly identity: Identity;
  readonly policy: PublishPolicy;
  /** Reads what the policy allows, and decides for each blob whether everyone may read it. */
  readonly reader: RangeReader;
  /** Looks a digest up where no one has named a repository. */
  readonly search?: ((digest: Digest) => Promise<readonly string[]>) | undefined;
  /** What tags mean, manifests and lists. */
  readonly images: ImageRegistry;
  /** What tags mean, where that can be had without the registry. */
  readonly storedTags: StoredTags | undefined;
  /** Whether the names of the published repositories are published as well. */
  readonly publishCatalog: boolean;
  readonly segmentBytes: SegmentSize;
  /** For pages of blobs and for what is on its way to faces, in bytes. */
  readonly memoryBytes: number;
  readonly stateDirectory: string | undefined;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** Producers of one server, to be put behind its faces. */
export interface Publication {
  /** Answers under the prefix. */
  readonly producer: SegmentProducer;
  /** Below the prefix, and leads to this server alone: to be registered as well. */
  readonly ownName: Name;
  /** Answer for certificates that are not under the prefix; each with the prefix of its own, to be registered too. */
  readonly others: readonly { readonly prefix: Name; readonly producer: SegmentProducer }[];
  /** Sign with this identity from now on, and answer for its certificates; `others` may be more. */
  signAs(identity: Identity): void;
  /** End all reads and write the state; call when the faces are closed. */
  close(): Promise<void>;
}

/** Put the parts of a server together. */
export function createPublication(options: PublicationOptions): Publication {
  const { log, memoryBytes, prefix, policy, reader, search, segmentBytes, stateDirectory } = options;
  const stop = new AbortController();
  const onStateError = (err: Error) => log.warn({ err }, "state cannot be kept");
  const index = new RepositoryIndex(stateDirectory, onStateError);
  const files = stateDirectory === undefined ? undefined : openListFiles(stateDirectory, onStateError);
  const memory = new PageMemory(memoryBytes - highWaterOfAllBytes);
  const limit = new ReadLimit();
  const metrics = createPublishMetrics(options.metrics);
  const pages: BlobPagesContext = {
    reader,
    memory,
    limit,
    signal: stop.signal,
    readBytes: metrics.registryBytes,
    onReadFailed(blob, reason) {
      metrics.registryFailures.inc();
      log.warn({ ...blob, reason: reason.message }, "reading the registry failed");
    },
  };
  const vainOpens = new TokenBucket(vainOpensPerSecond, vainOpensAtOnce);
  const locator = new BlobLocator({ prefix, policy, index, pages, search, vainOpens });
  let { identity } = options;
  const { signer } = identity;
  const lists = new DigestLists({
    prefix,
    signer,
    keyLocator: () => identity.certificates[0]?.name,
    files,
    signal: stop.signal,
    onAnswer: (origin) => metrics.digestLists.inc({ origin }),
    onTooLarge: (sizeBytes) =>
      log.warn({ sizeBytes }, "digest lists do not fit into a packet: choose a shorter prefix"),
  });
  const certificates = new CertificateDirectory(identity.certificates);
  const metadata = new SignedMetadata({ prefix, signer, locator, segmentBytes });
  const onUnique = (isAnswered: boolean) =>
    metrics.uniqueInterests.inc({ outcome: isAnswered ? "answered" : "refused" });
  const { signal } = stop;
  const pointers = createPointers({ ...options, signer, index, vainOpens, onStateError, onUnique, metrics, signal });
  const { manifests, snapshots } = pointers;
  const others = pointers.directory(certificates);
  const blobs = { prefix, policy, locator, metadata, lists, manifests, snapshots, others, onUnique };
  const producer = new SegmentProducer(prefix, new BlobDirectory(blobs));
  const heldBytes = () => manifests.sizeBytes + snapshots.sizeBytes;
  exposeProducer(options.metrics, producer, () => memory.sizeBytes, heldBytes);
  const outsiders = new Map<string, Publication["others"][number]>();
  const addOthers = () => {
    for (const outside of certificates.namesOutside(prefix)) {
      const other = { prefix: outside, producer: new SegmentProducer(outside, certificates) };
      if (!outsiders.has(nameKey(outside))) outsiders.set(nameKey(outside), other);
    }
  };
  addOthers();
  return {
    producer,
    ownName: pointers.ownName,
    get others() {
      return [...outsiders.values()];
    },
    signAs(next) {
      identity = next;
      certificates.replace(next.certificates);
      metadata.signWith(next.signer);
      lists.signWith(next.signer);
      pointers.signed.signWith(next.signer);
      addOthers();
    },
    async close() {
      stop.abort();
      options.images.close();
      await index.close();
      await files?.close();
    },
  };
}
