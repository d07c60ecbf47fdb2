/**
 * Metadata: how a blob is segmented, or that there is none, signed.
 */
import { LRUCache } from "lru-cache";
import { TokenBucket } from "#base/token-bucket.ts";
import { lastSegmentOf, metadataName, objectName, type SegmentSize } from "#blob/names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { encodeMetadata } from "#ndn/packet/metadata.ts";
import { joinName, type Name, segment, version } from "#ndn/packet/name.ts";
import { encodeSignedData } from "#ndn/packet/signed-data.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import type { Digest } from "#oci/digest.ts";
import type { PagedBlob } from "./paged-blob.ts";
import type { Placement } from "./placement.ts";

const freshnessMs = 60_000;
/** An answer made for one Interest, or one that may be wrong in a moment. */
const shortFreshnessMs = 1_000;
/** Sent again for half its freshness, so that a crowd of pullers costs one signature. */
const reuseMs = freshnessMs / 2;
const maxKept = 4096;
const negativeAnswersPerSecond = 50;

/** What metadata is made of. */
export interface SignedMetadataOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  readonly placement: Pick<Placement, "open">;
  /** Segment size that metadata proposes. */
  readonly segmentBytes: SegmentSize;
}

/** Answers for metadata; they say what the registry says now, so nothing of them outlives the process. */
export class SignedMetadata {
  private readonly options: SignedMetadataOptions;
  private readonly kept = new LRUCache<string, Buffer>({ max: maxKept });
  private readonly negative = new TokenBucket(negativeAnswersPerSecond, 2 * negativeAnswersPerSecond);
  private lastVersion = 0;

  constructor(options: SignedMetadataOptions) {
    this.options = options;
  }

  /** The packet for everybody who asks. */
  async answer(repository: string, digest: Digest): Promise<Buffer | undefined> {
    const key = `${repository}@${digest}`;
    const ready = this.kept.get(key);
    if (ready) return ready;
    const blob = await this.open(repository, digest);
    if (blob === "silence") return undefined;
    const name = metadataName(this.options.prefix, repository, digest);
    const packet = await this.sign(name, digest, blob, freshnessMs);
    this.kept.set(key, packet, { ttl: blob ? reuseMs : shortFreshnessMs });
    return packet;
  }

  /** A packet for one Interest alone, whose name this is. */
  async answerUnique(asked: Name, repository: string, digest: Digest): Promise<Buffer | undefined> {
    const blob = await this.open(repository, digest);
    return blob === "silence" ? undefined : this.sign(asked, digest, blob, shortFreshnessMs);
  }

  private async open(repository: string, digest: Digest): Promise<PagedBlob | undefined | "silence"> {
    const blob = await this.options.placement.open(digest, [repository]);
    return blob === undefined && !this.negative.tryTake() ? "silence" : blob;
  }

  private async sign(asked: Name, digest: Digest, blob: PagedBlob | undefined, freshMs: number): Promise<Buffer> {
    const { prefix, signer, segmentBytes } = this.options;
    const name = joinName(asked, version(this.nextVersion()), segment(0));
    if (blob === undefined) {
      const absent = { contentType: contentTypes.Nack, freshnessMs: shortFreshnessMs, content: Buffer.alloc(0) };
      return encodeSignedData(name, absent, signer);
    }
    const content = encodeMetadata({
      name: objectName(prefix, digest, segmentBytes),
      lastSegment: lastSegmentOf(blob.sizeBytes, segmentBytes),
      segmentBytes,
      sizeBytes: blob.sizeBytes,
    });
    const present = { contentType: contentTypes.Blob, freshnessMs: freshMs, content, finalBlockIsLast: true };
    return encodeSignedData(name, present, signer);
  }

  /** Microseconds since 1970, never twice the same. */
  private nextVersion(): number {
    this.lastVersion = Math.max(this.lastVersion + 1, Date.now() * 1000);
    return this.lastVersion;
  }
}
