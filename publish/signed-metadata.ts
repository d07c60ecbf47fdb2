/**
 * Metadata: how a blob is segmented, or that there is none, signed.
 */
import { LRUCache } from "lru-cache";
import { lastSegmentOf, metadataName, objectName, type SegmentSize } from "#blob/names.ts";
import { encodeMetadata } from "#ndn/packet/data.ts";
import { interestLifetimeMs } from "#ndn/packet/interest.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import type { Digest } from "#oci/reference.ts";
import { AnswerSigner, shortFreshnessMs } from "./answer-signer.ts";
import type { BlobLocator } from "./blob-locator.ts";
import type { PagedBlob } from "./paged-blob.ts";

const freshnessMs = 60_000;
/** Sent again for half its freshness, so that a crowd of pullers costs one signature. */
const reuseMs = freshnessMs / 2;
const maxCached = 4096;

/** What metadata is made of. */
export interface SignedMetadataOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  readonly locator: Pick<BlobLocator, "open">;
  /** Segment size that metadata proposes. */
  readonly segmentBytes: SegmentSize;
}

/** Answers for metadata; they say what the registry says now, so nothing of them outlives the process. */
export class SignedMetadata {
  readonly #options: SignedMetadataOptions;
  readonly #signer: AnswerSigner;
  readonly #cached = new LRUCache<string, Buffer>({ max: maxCached });
  readonly #asked = new LRUCache<string, true>({ max: maxCached, ttl: interestLifetimeMs });

  constructor(options: SignedMetadataOptions) {
    this.#options = options;
    this.#signer = new AnswerSigner(options.signer);
  }

  /** Sign with another key from now on: what was signed before is not sent again. */
  signWith(signer: Signer): void {
    this.#signer.signWith(signer);
    this.#cached.clear();
  }

  /** The packet for all who ask. */
  async answer(repository: string, digest: Digest): Promise<Buffer | undefined> {
    const key = keyOf(repository, digest);
    this.#asked.set(key, true);
    const ready = this.#cached.get(key);
    if (ready) return ready;
    const blob = await this.#options.locator.open(digest, [repository]);
    const name = metadataName(this.#options.prefix, repository, digest);
    const packet = await this.#sign(name, digest, blob, freshnessMs);
    if (packet) this.#cached.set(key, packet, { ttl: blob ? reuseMs : shortFreshnessMs });
    return packet;
  }

  /** Whether someone asked for it within an Interest's lifetime, and so takes the digest for a blob's. */
  wasAsked(repository: string, digest: Digest): boolean {
    return this.#asked.has(keyOf(repository, digest));
  }

  /** A packet for one Interest alone, whose name this is. */
  async answerUnique(asked: Name, repository: string, digest: Digest): Promise<Buffer | undefined> {
    const blob = await this.#options.locator.open(digest, [repository]);
    return this.#sign(asked, digest, blob, shortFreshnessMs);
  }

  /** How the blob is segmented, or that there is none; undefined when that was said too often lately. */
  async #sign(asked: Name, digest: Digest, blob: PagedBlob | undefined, freshMs: number): Promise<Buffer | undefined> {
    if (blob === undefined) return this.#signer.absent(asked);
    const { prefix, segmentBytes } = this.#options;
    const content = encodeMetadata({
      name: objectName(prefix, digest, segmentBytes),
      lastSegment: lastSegmentOf(blob.sizeBytes, segmentBytes),
      segmentBytes,
      sizeBytes: blob.sizeBytes,
    });
    return this.#signer.present(asked, content, freshMs);
  }
}

function keyOf(repository: string, digest: Digest): string {
  return `${repository}@${digest}`;
}
