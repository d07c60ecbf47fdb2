/**
 * Which names exist: reads a name, asks whether its blob may be published, and says who answers.
 */

import { TokenBucket } from "#base/token-bucket.ts";
import {
  type BlobRequest,
  fitsPacket,
  objectEncoder,
  parseBlobName,
  plainEncoder,
  plainSegmentBytes,
} from "#blob/names.ts";
import { endsInParametersDigest, type InterestFields } from "#ndn/packet/interest.ts";
import { type Name, nameKey } from "#ndn/packet/name.ts";
import type { ObjectDirectory, Request } from "#ndn/producer.ts";
import type { DigestLists } from "./digest-lists.ts";
import type { Placement } from "./placement.ts";
import type { PublishPolicy } from "./range-reader.ts";
import { SegmentedBlob } from "./segmented-blob.ts";
import type { SignedMetadata } from "./signed-metadata.ts";

/** Answers that are made for one Interest alone cost a signature each. */
const uniqueAnswersPerSecond = 20;
const uniqueAnswersAtOnce = 40;

/** What a directory is made of. */
export interface BlobDirectoryOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly placement: Placement;
  readonly metadata: SignedMetadata;
  readonly lists: DigestLists;
  /** Told of every question that no cache can answer. */
  onUnique(isAnswered: boolean): void;
}

type Asked<Kind extends BlobRequest["kind"]> = Extract<BlobRequest, { kind: Kind }>;

/** The names under one prefix. */
export class BlobDirectory implements ObjectDirectory {
  private readonly options: BlobDirectoryOptions;
  private readonly unique = new TokenBucket(uniqueAnswersPerSecond, uniqueAnswersAtOnce);

  constructor(options: BlobDirectoryOptions) {
    this.options = options;
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const request = parseBlobName(this.options.prefix, name);
    switch (request?.kind) {
      case "segment":
        return this.lookupSegment(request, interest);
      case "plain":
        return this.lookupPlain(request);
      case "metadata":
        return this.lookupMetadata(name, request, interest);
      case "digests":
        return this.lookupList(name, request, interest);
      case undefined:
        return undefined;
    }
  }

  private lookupSegment(request: Asked<"segment">, interest: InterestFields): Request | undefined {
    const repositories = this.options.placement.candidates(request.digest, interest);
    return (
      repositories && {
        key: `segment ${request.size} ${request.digest} ${repositories.join(" ")}`,
        segment: { object: request.object, number: request.number },
        answer: () => this.openSegments(request, repositories),
      }
    );
  }

  private lookupPlain(request: Asked<"plain">): Request | undefined {
    const { repository, digest, object, number } = request;
    if (!this.options.policy.allows(repository)) return undefined;
    return {
      key: `plain ${repository} ${digest}`,
      segment: { object, number },
      answer: () => this.openPlain(request),
    };
  }

  private lookupMetadata(name: Name, request: Asked<"metadata">, interest: InterestFields): Request | undefined {
    const { metadata, policy } = this.options;
    const { repository, digest } = request;
    if (!policy.allows(repository)) return undefined;
    if (request.isUnique) {
      return this.uniquely(name, interest, () => metadata.answerUnique(name, repository, digest));
    }
    const key = `metadata ${repository} ${digest}`;
    return { key, segment: undefined, answer: () => metadata.answer(repository, digest) };
  }

  private lookupList(name: Name, request: Asked<"digests">, interest: InterestFields): Request | undefined {
    const { lists, placement } = this.options;
    const repositories = placement.candidates(request.digest, interest);
    if (repositories === undefined) return undefined;
    const open = () => placement.open(request.digest, repositories);
    if (request.isUnique) {
      return this.uniquely(name, interest, async () => {
        const blob = await open();
        return blob && lists.answerUnique(name, blob, request);
      });
    }
    const answer = async () => {
      const blob = await open();
      return blob && lists.answer(blob, request);
    };
    const key = `digests ${request.number} ${request.size} ${request.digest} ${repositories.join(" ")}`;
    return { key, segment: undefined, answer };
  }

  /** A question that no cache can answer: it has to be a true one, and there may not be many. */
  private uniquely(name: Name, interest: InterestFields, answer: Request["answer"]): Request | undefined {
    if (!endsInParametersDigest(name, interest)) return undefined;
    const answerIfFew = async () => {
      const isAnswered = this.unique.tryTake();
      this.options.onUnique(isAnswered);
      return isAnswered ? answer() : undefined;
    };
    return { key: `unique ${nameKey(name)}`, segment: undefined, answer: answerIfFew };
  }

  private async openSegments({ digest, size, object }: Asked<"segment">, repositories: readonly string[]) {
    const blob = await this.options.placement.open(digest, repositories);
    return blob && new SegmentedBlob(blob, size, objectEncoder(object, blob.sizeBytes, size));
  }

  private async openPlain({ digest, repository, object }: Asked<"plain">) {
    const blob = await this.options.placement.open(digest, [repository]);
    if (blob === undefined) return undefined;
    const encoder = plainEncoder(object, blob.sizeBytes);
    return fitsPacket(encoder) ? new SegmentedBlob(blob, plainSegmentBytes, encoder) : undefined;
  }
}
