/**
 * Blobs over NDN: metadata first, then the segments from the byte that is wanted.
 */
import { reasonOf } from "#base/errors.ts";
import type { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import type { EarlySegments } from "#ndn/consumer/early-segments.ts";
import type { InterestClient, RetryLimits } from "#ndn/consumer/interest-client.ts";
import { FetchFailed } from "#ndn/consumer/object-to-fetch.ts";
import type { PrefixPath } from "#ndn/consumer/prefix-path.ts";
import { RetrySchedule } from "#ndn/consumer/retry-schedule.ts";
import { isInQueue } from "#ndn/consumer/stall.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import type { Verifier } from "#ndn/trust/verifier.ts";
import type { Digest } from "#oci/reference.ts";
import { type BlobMetadata, decodeBlobMetadata, inSmallSegments } from "./blob-metadata.ts";
import { DigestLists } from "./digest-lists.ts";
import type { HintedBlob, NamedObject } from "./named-object.ts";
import {
  digestListName,
  digestListOf,
  lastSegmentOf,
  metadataName,
  objectEncoder,
  objectName,
  plainName,
  plainSegmentBytes,
  repositoryName,
  type SegmentSize,
  smallSegmentBytes,
} from "./names.ts";
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  BlobUnknown,
  fromStart,
  type ResumePoint,
} from "./source.ts";
import { type PacketEvents, TrustedPackets } from "./trusted-packets.ts";

/** Metadata that has not come after this long, or four round trips up to the other, sends the puller elsewhere. */
const [metadataTimeoutMs, longMetadataTimeoutMs] = [2_000, 4_000];
const listTimeoutMs = 4_000;
/** Segments that are asked for with the metadata: those of the first digest list, about what a path takes that no one knows. */
const maxEarly = 16;

/** Payload `[start, end)` of a blob from somewhere else, to replace a segment; undefined when it is not available. */
export type SegmentRepair = (
  blob: BlobRef,
  start: number,
  end: number,
  signal: AbortSignal,
) => Promise<Buffer | undefined>;

/** How packets are believed: with a verifier each, else the whole blob by its digest. */
export interface Trust {
  readonly verifier: Verifier;
  readonly events: PacketEvents;
}

/** What has been asked for together with a blob's metadata. */
interface EarlyParts {
  readonly segmentBytes: SegmentSize;
  readonly segments?: EarlySegments | undefined;
  readonly list?: { readonly number: number; readonly content: Promise<Buffer> } | undefined;
}

/** Reads blobs through one uplink. */
export class NdnSource implements BlobSource {
  readonly name = "ndn";
  readonly isVerified: boolean;
  readonly #prefix: Name;
  readonly #interests: InterestClient;
  readonly #consumer: SegmentConsumer;
  /** Of whoever answers for segments under the prefix over this uplink, */
  readonly #path: PrefixPath;
  /** and for digest lists, which are made from the segments: not every server has them. */
  readonly #lists = { answeredAtMs: Number.NEGATIVE_INFINITY };
  /** As the last metadata said. */
  #likelySegmentBytes: SegmentSize = plainSegmentBytes;
  readonly #schedule = new RetrySchedule();
  readonly #trust: (Trust & { packets: TrustedPackets }) | undefined;
  readonly #losesFragments: () => boolean;

  /** @param losesFragments - Whether the link loses so many fragments that small segments, which have none, cost less. */
  constructor(
    prefix: Name,
    interests: InterestClient,
    consumer: SegmentConsumer,
    trust?: Trust,
    losesFragments = () => false,
  ) {
    this.#prefix = prefix;
    this.#interests = interests;
    this.#consumer = consumer;
    this.#path = consumer.newPath();
    this.#losesFragments = losesFragments;
    this.isVerified = trust !== undefined;
    this.#trust = trust && { ...trust, packets: new TrustedPackets(interests, trust.verifier, trust.events) };
  }

  /** Round-trip time of metadata; 0 before the first. */
  get rttMs(): number {
    return this.#schedule.rtt.smoothedMs;
  }

  /** @param repair - For segments that no one on NDN has right; without it such a blob is unavailable here. */
  async open(blob: BlobRef, from: ResumePoint, signal: AbortSignal, repair?: SegmentRepair): Promise<BlobRead> {
    const asking = this.#askMetadata(blob, signal);
    const early = this.#askEarly(blob, from, signal);
    let isOfUse = false;
    try {
      const proposed = await asking;
      from.arrived?.();
      this.#likelySegmentBytes = proposed.segmentBytes;
      const metadata = this.#fitted(proposed, blob.digest);
      if (this.#path.rtt.smoothedMs === 0) this.#path.rtt.sample(this.rttMs);
      // One that has the bytes before knows another blob; one that has not is told the size.
      if (from.prefixSha256 && from.offset > metadata.sizeBytes)
        throw new BlobUnavailable(`metadata says ${metadata.sizeBytes} bytes`);
      isOfUse = metadata.segmentBytes === early.segmentBytes;
      const list = isOfUse ? early.list : undefined;
      const check = this.#trust && this.#checkOf(blob, metadata, from.end, signal, this.#trust, list, repair);
      const chunks = this.#readFrom(blob, metadata, from, signal, check, early.segments);
      return { sizeBytes: metadata.sizeBytes, chunks };
    } finally {
      if (!isOfUse) early.segments?.end();
    }
  }

  /** What is needed first, asked for before the metadata is there: most blobs are in segments of the same size. */
  #askEarly(blob: BlobRef, { offset, end, sizeBytes }: ResumePoint, signal: AbortSignal): EarlyParts {
    const segmentBytes = this.#losesFragments() ? smallSegmentBytes : this.#likelySegmentBytes;
    const [until, size] = [end ?? Number.POSITIVE_INFINITY, sizeBytes ?? Number.POSITIVE_INFINITY];
    if (offset >= until || offset > size) return { segmentBytes }; // an empty blob has a segment too
    const firstSegment = Math.floor(offset / segmentBytes);
    const count = Math.min(maxEarly, Math.max(1, Math.ceil(Math.min(until, size) / segmentBytes) - firstSegment));
    const hint = repositoryName(this.#prefix, blob.repository);
    const number = digestListOf(firstSegment);
    const list = this.#trust && { number, content: this.#listsOf(blob, segmentBytes, signal)(number) };
    list?.content.catch(() => {}); // it fails for those that wait for it
    const object = objectName(this.#prefix, blob.digest, segmentBytes);
    return {
      segmentBytes,
      list,
      segments: this.#consumer.askEarly({ object, hint, path: this.#path, firstSegment, count }, signal),
    };
  }

  /** Read an object without asking for its metadata; its digest is the caller's to compare. */
  openObject({ digest, sizeBytes, segmentBytes, repository, hint }: NamedObject, signal: AbortSignal): BlobRead {
    const name = objectName(this.#prefix, digest, segmentBytes);
    const proposed = { name, lastSegment: lastSegmentOf(sizeBytes, segmentBytes), segmentBytes, sizeBytes };
    const metadata = this.#fitted(proposed, digest);
    const object = { digest, repository: repository ?? "", hint };
    const check = this.#trust && this.#checkOf(object, metadata, undefined, signal, this.#trust);
    return { sizeBytes, chunks: this.#readFrom(object, metadata, fromStart, signal, check) };
  }

  /** The same object in the segments that suit the link. */
  #fitted(proposed: BlobMetadata, digest: Digest): BlobMetadata {
    return this.#losesFragments() ? inSmallSegments(proposed, this.#prefix, digest) : proposed;
  }

  async #askMetadata(blob: BlobRef, signal: AbortSignal): Promise<BlobMetadata> {
    const { contentType, content } = await this.#ask(metadataName(this.#prefix, blob.repository, blob.digest), signal);
    if (contentType !== contentTypes.Blob) throw new BlobUnknown("the server does not have it");
    const metadata = decodeBlobMetadata(this.#prefix, blob.digest, content);
    if (metadata) return metadata;
    throw new BlobUnavailable("metadata is malformed");
  }

  /** Asks for lists of digests of the blob's segments. */
  #listsOf(blob: HintedBlob, size: SegmentSize, signal: AbortSignal): (i: number) => Promise<Buffer> {
    const object = objectName(this.#prefix, blob.digest, size);
    const options = { isExact: true, forwardingHint: this.#hintOf(blob) };
    return async (i) => {
      const { contentType, content } = await this.#trust!.packets.ask(
        digestListName(object, i),
        options,
        { timeoutMs: listTimeoutMs, schedule: this.#schedule, isPatient: this.#isListInQueue },
        signal,
        ({ contentType }) => contentType === contentTypes.Manifest,
      );
      if (contentType !== contentTypes.Manifest) throw new BlobUnavailable("no digest list");
      this.#lists.answeredAtMs = performance.now();
      return content;
    };
  }

  #hintOf({ repository, hint }: HintedBlob): Name {
    return hint ?? repositoryName(this.#prefix, repository);
  }

  #checkOf(
    blob: HintedBlob,
    { sizeBytes, segmentBytes: size, lastSegment }: BlobMetadata,
    end: number | undefined,
    signal: AbortSignal,
    { events }: Trust,
    early?: EarlyParts["list"],
    repair?: SegmentRepair,
  ): DigestLists {
    const lists = this.#listsOf(blob, size, signal);
    return new DigestLists({
      encoder: objectEncoder(objectName(this.#prefix, blob.digest, size), sizeBytes, size),
      lastSegment,
      lastWanted: end === undefined ? undefined : Math.min(lastSegment, Math.ceil(end / size) - 1),
      fetchList: (i) => (i === early?.number ? early.content : lists(i)),
      repair: async (n) => repair?.(blob, n * size, Math.min(sizeBytes, (n + 1) * size), signal),
      onWrong: (n) => events.wrong?.(blob, n),
      onRepaired: (n, how) => events.repaired?.(blob, n, how),
    });
  }

  readonly #isListInQueue = (waitedMs: number): boolean =>
    isInQueue(this.#lists, waitedMs, listTimeoutMs, performance.now());

  get #metadataLimits(): RetryLimits {
    const timeoutMs = Math.min(longMetadataTimeoutMs, Math.max(metadataTimeoutMs, 4 * this.rttMs));
    return { timeoutMs, schedule: this.#schedule };
  }

  async #ask(name: Name, signal: AbortSignal): Promise<{ contentType: number; content: Buffer }> {
    const limits = this.#metadataLimits;
    try {
      if (this.#trust) return await this.#trust.packets.ask(name, {}, limits, signal, () => true);
      // What is malformed may be a cache's: it is asked once more, past all caches.
      for (const isUnique of [false, true]) {
        const data = readSignedData(await this.#interests.express(name, limits, signal, { isUnique }));
        if (data) return data;
      }
      throw new Error("it is malformed");
    } catch (err: unknown) {
      signal.throwIfAborted();
      if (err instanceof Untrusted)
        throw new BlobUnavailable(`metadata is not believed: ${err.message}`, { cause: err });
      throw new BlobUnavailable(`no metadata over NDN: ${reasonOf(err)}`, { cause: err });
    }
  }

  async *#readFrom(
    blob: HintedBlob,
    metadata: BlobMetadata,
    { offset, end = metadata.sizeBytes }: ResumePoint,
    signal: AbortSignal,
    check: DigestLists | undefined,
    early?: EarlySegments,
  ): AsyncGenerator<Buffer> {
    const { sizeBytes, segmentBytes } = metadata;
    if (offset >= Math.min(end, sizeBytes) && sizeBytes > 0) return;
    const lastSegment = Math.min(metadata.lastSegment, Math.ceil(end / segmentBytes) - 1);
    const hasPlain = segmentBytes === plainSegmentBytes && blob.hint === undefined;
    const plain = hasPlain ? plainName(this.#prefix, blob.repository, blob.digest) : undefined;
    const firstSegment = Math.floor(offset / segmentBytes);
    let skip = offset - firstSegment * segmentBytes;
    const what = {
      object: metadata.name,
      hint: this.#hintOf(blob),
      ...(plain && { alternative: plain }),
      path: this.#path,
      firstSegment,
      lastSegment,
      segmentBytes,
      lastSegmentBytes: Math.min(segmentBytes, sizeBytes - lastSegment * segmentBytes),
      ...(check && { check }),
    };
    try {
      for await (const block of this.#consumer.fetch(what, signal, early)) {
        yield skip > 0 ? block.subarray(skip) : block;
        skip = 0;
      }
    } catch (err: unknown) {
      if (err instanceof FetchFailed) throw new BlobUnavailable(err.message, { cause: err });
      throw err;
    }
  }
}
