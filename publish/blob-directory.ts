/**
 * Which names exist: reads a name, asks whether its blob may be published, and says who answers.
 */

import {
  type BlobRequest,
  fitsPacket,
  lastSegmentOf,
  objectEncoder,
  objectName,
  parseBlobName,
  plainEncoder,
  plainSegmentBytes,
} from "#blob/names.ts";
import type { SegmentDataEncoder } from "#ndn/packet/data.ts";
import type { InterestFields } from "#ndn/packet/interest.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { ObjectDirectory, Payload, Request, SegmentedObject, SegmentWaiter } from "#ndn/producer.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobLocator } from "./blob-locator.ts";
import type { DigestLists } from "./digest-lists.ts";
import { pageBytes } from "./page-memory.ts";
import type { PagedBlob } from "./paged-blob.ts";
import type { Manifests } from "./pointers/manifests.ts";
import type { Snapshots } from "./pointers/snapshots.ts";
import type { PublishPolicy } from "./range-reader.ts";
import type { HashedSegments } from "./segment-digests.ts";
import type { SignedMetadata } from "./signed-metadata.ts";
import { UniqueQuestions } from "./unique-questions.ts";

const uniqueAnswersPerSecond = 20;
const uniqueAnswersAtOnce = 40;

/** What a directory is made of. */
export interface BlobDirectoryOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly locator: BlobLocator;
  readonly metadata: SignedMetadata;
  readonly lists: DigestLists;
  /** Looked into for digests that are not of blobs. */
  readonly manifests: Manifests;
  readonly snapshots: Snapshots;
  /** Looked into for names that are not of objects. */
  readonly others: ObjectDirectory;
  /** Called for every unique Interest. */
  readonly onUnique: (isAnswered: boolean) => void;
}

type RequestOf<Kind extends BlobRequest["kind"]> = Extract<BlobRequest, { kind: Kind }>;

/** The names under one prefix. */
export class BlobDirectory implements ObjectDirectory {
  readonly #options: BlobDirectoryOptions;
  readonly #unique: UniqueQuestions;

  constructor(options: BlobDirectoryOptions) {
    this.#options = options;
    this.#unique = new UniqueQuestions(uniqueAnswersPerSecond, uniqueAnswersAtOnce, options.onUnique);
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const request = parseBlobName(this.#options.prefix, name);
    switch (request?.kind) {
      case "segment":
        return this.#lookupSegment(request, interest);
      case "plain":
        return this.#lookupPlain(request);
      case "metadata":
        return this.#lookupMetadata(name, request, interest);
      case "digests":
        return this.#lookupList(name, request, interest);
      case undefined:
        return this.#options.others.lookup(name, interest);
    }
  }

  #lookupSegment(request: RequestOf<"segment">, interest: InterestFields): Request | undefined {
    const { digest, size, object, number } = request;
    const repositories = this.#candidates(digest, interest);
    return (
      repositories && {
        key: `segment ${size} ${digest} ${repositories.join(" ")}`,
        segment: { object, number },
        answer: () => this.#openSegments(request, repositories),
      }
    );
  }

  #lookupPlain(request: RequestOf<"plain">): Request | undefined {
    const { repository, digest, object, number } = request;
    if (!this.#options.policy.allows(repository)) return undefined;
    return {
      key: `plain ${repository} ${digest}`,
      segment: { object, number },
      answer: () => this.#openPlain(request),
    };
  }

  #lookupMetadata(name: Name, request: RequestOf<"metadata">, interest: InterestFields): Request | undefined {
    const { metadata, policy } = this.#options;
    const { repository, digest } = request;
    if (!policy.allows(repository)) return undefined;
    if (request.isUnique) {
      return this.#unique.request(name, interest, () => metadata.answerUnique(name, repository, digest));
    }
    const key = `metadata ${repository} ${digest}`;
    return { key, segment: undefined, answer: () => metadata.answer(repository, digest) };
  }

  #lookupList(name: Name, request: RequestOf<"digests">, interest: InterestFields): Request | undefined {
    const { lists } = this.#options;
    const { digest, size, number } = request;
    const repositories = this.#candidates(digest, interest);
    if (repositories === undefined) return undefined;
    const answer = async () => {
      const segments = await this.#openSegments(request, repositories);
      if (segments === undefined) return undefined;
      return request.isUnique ? lists.answerUnique(name, segments, request) : lists.answer(segments, request);
    };
    if (request.isUnique) return this.#unique.request(name, interest, answer);
    return { key: `digests ${number} ${size} ${digest} ${repositories.join(" ")}`, segment: undefined, answer };
  }

  /** Where to look for a digest; undefined when there is nowhere. A snapshot is of no repository. */
  #candidates(digest: Digest, interest: InterestFields): readonly string[] | undefined {
    const { locator, snapshots } = this.#options;
    return snapshots.has(digest) ? [] : locator.candidates(digest, interest);
  }

  /** What has this digest: a snapshot or a manifest that is at hand, else a blob, else a manifest. */
  async #openSegments(request: RequestOf<"segment" | "digests">, repositories: readonly string[]) {
    const { digest, size } = request;
    const { locator, manifests, metadata, snapshots } = this.#options;
    const held = snapshots.open(digest, size) ?? manifests.openKept(digest, size, repositories);
    if (held) return held;
    const places = repositories.length > 0 ? repositories : await locator.search(digest);
    const blob = await locator.open(digest, places);
    if (blob) return this.#segmentsOf(blob, request);
    // A blob's first segments are asked for with its metadata: to look for a manifest as well would be vain.
    const others = places.filter((one) => !metadata.wasAsked(one, digest));
    return manifests.open(digest, size, others);
  }

  #segmentsOf(blob: PagedBlob, { digest, size }: RequestOf<"segment" | "digests">): SegmentedBlob {
    const object = objectName(this.#options.prefix, digest, size);
    return new SegmentedBlob(blob, size, objectEncoder(object, blob.sizeBytes, size));
  }

  async #openPlain({ digest, repository, object }: RequestOf<"plain">) {
    const blob = await this.#options.locator.open(digest, [repository]);
    if (blob === undefined) return undefined;
    const encoder = plainEncoder(object, blob.sizeBytes);
    return fitsPacket(encoder) ? new SegmentedBlob(blob, plainSegmentBytes, encoder) : undefined;
  }
}

/** A blob cut into segments of one size: what the producer answers from. */
class SegmentedBlob implements SegmentedObject, HashedSegments {
  readonly encoder: SegmentDataEncoder;
  readonly lastSegment: number;
  readonly #blob: PagedBlob;
  readonly #segmentBytes: number;
  /** Filled again by every `locate`: nothing is allocated per segment (hot path). */
  readonly #payload: { buf: Buffer; start: number; end: number } = { buf: Buffer.alloc(0), start: 0, end: 0 };

  constructor(blob: PagedBlob, segmentBytes: number, encoder: SegmentDataEncoder) {
    this.#blob = blob;
    this.#segmentBytes = segmentBytes;
    this.encoder = encoder;
    this.lastSegment = lastSegmentOf(blob.sizeBytes, segmentBytes);
  }

  get isCurrent(): boolean {
    return this.#blob.isCurrent;
  }

  locate(n: number): Payload | undefined {
    return this.#payloadOf(n, true);
  }

  peek(n: number): Payload | undefined {
    return this.#payloadOf(n, false);
  }

  load(n: number, waiter: SegmentWaiter, endSegment: number = n + 1): void {
    const start = n * this.#segmentBytes;
    const end = Math.min(this.#blob.sizeBytes, start + this.#segmentBytes);
    const boundary = start - (start % pageBytes) + pageBytes;
    const wantedEnd = Math.min(this.#blob.sizeBytes, endSegment * this.#segmentBytes);
    const [{ puller }, isWaiting] = [waiter, () => waiter.isWaiting()];
    const rest = () => this.#blob.whenFilled(boundary, end, waiter);
    if (end <= boundary) this.#blob.whenFilled(start, end, waiter, wantedEnd);
    else this.#blob.whenFilled(start, boundary, { puller, isWaiting, done: rest }, wantedEnd);
  }

  startHashing(start: number, end: number): () => void {
    return this.#blob.startHashing(
      start * this.#segmentBytes,
      Math.min(this.#blob.sizeBytes, end * this.#segmentBytes),
    );
  }

  #payloadOf(n: number, isSent: boolean): Payload | undefined {
    const start = n * this.#segmentBytes;
    const end = Math.min(this.#blob.sizeBytes, start + this.#segmentBytes);
    const pageStart = start - (start % pageBytes);
    const endInPage = Math.min(end, pageStart + pageBytes);
    const page = isSent ? this.#blob.pageAt(start, endInPage) : this.#blob.peekAt(start, endInPage);
    if (page === undefined) return undefined;
    if (isSent) this.#blob.sent(page, endInPage - start);
    else if (endInPage - pageStart === page.buf.length) this.#blob.hashed(page);
    if (endInPage < end) return this.#locateAcross(page.buf.subarray(start - pageStart), endInPage, end);
    const payload = this.#payload;
    payload.buf = page.buf;
    payload.start = start - pageStart;
    payload.end = end - pageStart;
    return payload;
  }

  /** Segments of 1200 bytes do not divide a page: some lie on two. */
  #locateAcross(head: Buffer, boundary: number, end: number): Payload | undefined {
    const next = this.#blob.peekAt(boundary, end);
    if (next === undefined) return undefined;
    const buf = Buffer.concat([head, next.buf.subarray(0, end - boundary)]);
    return { buf, start: 0, end: buf.length };
  }
}
