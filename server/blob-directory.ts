/**
 * Which names exist: places a blob, asks whether it may be published, and makes objects and metadata of it.
 */

import { LRUCache } from "lru-cache";
import {
  type BlobRequest,
  fitsPacket,
  lastSegmentOf,
  metadataName,
  objectEncoder,
  objectName,
  parseBlobName,
  plainEncoder,
  plainSegmentBytes,
  repositoryOfHint,
  type SegmentSize,
} from "#blob/names.ts";
import { contentTypes } from "#ndn/data.ts";
import type { InterestFields } from "#ndn/interest.ts";
import type { Signer } from "#ndn/keychain.ts";
import { encodeMetadata } from "#ndn/metadata.ts";
import { joinName, type Name, segment, version } from "#ndn/name.ts";
import type { ObjectDirectory, Request } from "#ndn/producer.ts";
import { encodeSignedData } from "#ndn/signed-data.ts";
import type { Digest } from "#oci/digest.ts";
import type { KnownPlaces } from "./known-places.ts";
import type { OpenBlobs } from "./open-blobs.ts";
import type { PagedBlob } from "./paged-blob.ts";
import type { PublishPolicy } from "./publish-policy.ts";
import { RateLimit } from "./rate-limit.ts";
import { SegmentedBlob } from "./segmented-blob.ts";

const metadataFreshnessMs = 60_000;
const absentFreshnessMs = 1_000;
/** Signed metadata is sent again for half its freshness, so that a crowd of pullers costs one signature. */
const metadataReuseMs = metadataFreshnessMs / 2;
const maxSignedKept = 4096;
const negativeAnswersPerSecond = 50;
/** A search looks into every repository on the disk: this is how many of them strangers can cause. */
const searchesPerSecond = 20;

/** What a directory is made of. */
export interface BlobDirectoryOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  readonly policy: PublishPolicy;
  readonly places: KnownPlaces;
  readonly blobs: OpenBlobs;
  /** Segment size that metadata proposes. */
  readonly segmentBytes: SegmentSize;
  /** Looks a digest up where nobody has named a repository (`--storage`). */
  readonly search: ((digest: Digest) => Promise<readonly string[]>) | undefined;
}

/** The names under one prefix. */
export class BlobDirectory implements ObjectDirectory {
  private readonly options: BlobDirectoryOptions;
  private readonly signed = new LRUCache<string, Buffer>({ max: maxSignedKept });
  private readonly negative = new RateLimit(negativeAnswersPerSecond, 2 * negativeAnswersPerSecond);
  private readonly searches = new RateLimit(searchesPerSecond, 5 * searchesPerSecond);
  private lastVersion = 0;

  constructor(options: BlobDirectoryOptions) {
    this.options = options;
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const request = parseBlobName(this.options.prefix, name);
    if (request === undefined || request.kind === "digests") return undefined;
    if (request.kind === "segment") return this.lookupSegment(request, interest);
    if (!this.options.policy.allows(request.repository)) return undefined;
    const key = `${request.kind} ${request.repository} ${request.digest}`;
    if (request.kind === "plain") {
      const asked = { object: request.object, number: request.number };
      return { key, segment: asked, answer: () => this.openPlain(request) };
    }
    return { key, segment: undefined, answer: () => this.answerMetadata(key, request.repository, request.digest) };
  }

  private lookupSegment(request: BlobRequest & { kind: "segment" }, interest: InterestFields): Request | undefined {
    const hinted = interest.forwardingHint
      .map((hint) => repositoryOfHint(this.options.prefix, hint))
      .filter((repository) => repository !== undefined);
    const candidates = [...new Set([...hinted, ...this.options.places.repositoriesOf(request.digest)])];
    const repositories = candidates.filter((repository) => this.options.policy.allows(repository));
    if (repositories.length === 0 && this.options.search === undefined) return undefined;
    return {
      key: `segment ${request.size} ${request.digest} ${repositories.join(" ")}`,
      segment: { object: request.object, number: request.number },
      answer: () => this.openSegments(request, repositories),
    };
  }

  private async openSegments(request: BlobRequest & { kind: "segment" }, repositories: readonly string[]) {
    const blob = await this.place(request.digest, repositories);
    return blob && new SegmentedBlob(blob, request.size, objectEncoder(request.object, blob.sizeBytes, request.size));
  }

  private async openPlain(request: BlobRequest & { kind: "plain" }) {
    const blob = await this.place(request.digest, [request.repository]);
    if (blob === undefined) return undefined;
    const encoder = plainEncoder(request.object, blob.sizeBytes);
    return fitsPacket(encoder) ? new SegmentedBlob(blob, plainSegmentBytes, encoder) : undefined;
  }

  /** The blob from the first repository that has it. */
  private async place(digest: Digest, repositories: readonly string[]): Promise<PagedBlob | undefined> {
    const { blobs, places, policy } = this.options;
    const open = blobs.alreadyOpen(digest, repositories);
    if (open) return open;
    const found = repositories.length > 0 ? repositories : await this.search(digest);
    for (const repository of found.filter((name) => policy.allows(name))) {
      const blob = await blobs.get({ repository, digest });
      if (blob === undefined) continue;
      places.learn(digest, repository);
      return blob;
    }
    return undefined;
  }

  private async search(digest: Digest): Promise<readonly string[]> {
    const { search } = this.options;
    return search !== undefined && this.searches.take() ? search(digest) : [];
  }

  private async answerMetadata(key: string, repository: string, digest: Digest): Promise<Buffer | undefined> {
    const ready = this.signed.get(key);
    if (ready) return ready;
    const blob = await this.place(digest, [repository]);
    if (blob === undefined && !this.negative.take()) return undefined;
    const packet = await this.signMetadata(repository, digest, blob);
    this.signed.set(key, packet, { ttl: blob ? metadataReuseMs : absentFreshnessMs });
    return packet;
  }

  private async signMetadata(repository: string, digest: Digest, blob: PagedBlob | undefined): Promise<Buffer> {
    const { prefix, signer, segmentBytes } = this.options;
    const name = joinName(metadataName(prefix, repository, digest), version(this.nextVersion()), segment(0));
    if (blob === undefined) {
      const options = { contentType: contentTypes.Nack, freshnessMs: absentFreshnessMs, content: Buffer.alloc(0) };
      return encodeSignedData(name, options, signer);
    }
    const content = encodeMetadata({
      name: objectName(prefix, digest, segmentBytes),
      lastSegment: lastSegmentOf(blob.sizeBytes, segmentBytes),
      segmentBytes,
      sizeBytes: blob.sizeBytes,
    });
    const options = {
      contentType: contentTypes.Blob,
      freshnessMs: metadataFreshnessMs,
      content,
      finalBlockIsLast: true,
    };
    return encodeSignedData(name, options, signer);
  }

  /** Microseconds since 1970, never twice the same. */
  private nextVersion(): number {
    this.lastVersion = Math.max(this.lastVersion + 1, Date.now() * 1000);
    return this.lastVersion;
  }
}
