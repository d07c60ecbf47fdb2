/**
 * Blobs over NDN: metadata first, then the segments from the byte that is wanted.
 */
import type { SegmentConsumer } from "#ndn/consumer.ts";
import type { ControlPlane } from "#ndn/control-plane.ts";
import { contentTypes } from "#ndn/data.ts";
import { decodeMetadata, type Metadata } from "#ndn/metadata.ts";
import type { Name } from "#ndn/name.ts";
import { FetchFailed } from "#ndn/segment-fetch.ts";
import {
  lastSegmentOf,
  metadataName,
  objectName,
  plainName,
  plainSegmentBytes,
  repositoryName,
  segmentSizes,
} from "./names.ts";
import { type BlobRead, type BlobRef, type BlobSource, BlobUnavailable, type ResumePoint } from "./source.ts";

/** Metadata that has not come after this long sends the puller elsewhere. */
const metadataTimeoutMs = 2_000;
/** So many questions in a row that nobody answered, and blobs do not wait for NDN for a while. */
const silencesUntilRest = 2;
const restMs = 10_000;

/** Reads blobs through one uplink. */
export class NdnSource implements BlobSource {
  readonly name = "ndn";
  private readonly prefix: Name;
  private readonly control: ControlPlane;
  private readonly consumer: SegmentConsumer;
  private silences = 0;
  private restsUntilMs = 0;

  constructor(prefix: Name, control: ControlPlane, consumer: SegmentConsumer) {
    this.prefix = prefix;
    this.control = control;
    this.consumer = consumer;
  }

  /** Whether nobody answers on this uplink at the moment: asking again would only cost the puller time. */
  get isResting(): boolean {
    return performance.now() < this.restsUntilMs;
  }

  async open(blob: BlobRef, from: ResumePoint, signal: AbortSignal): Promise<BlobRead> {
    const metadata = await this.askMetadata(blob, signal);
    if (from.offset > metadata.sizeBytes) throw new BlobUnavailable(`metadata says ${metadata.sizeBytes} bytes`);
    return { sizeBytes: metadata.sizeBytes, chunks: this.readFrom(blob, metadata, from.offset, signal) };
  }

  private async askMetadata(blob: BlobRef, signal: AbortSignal): Promise<Metadata> {
    const data = await this.express(metadataName(this.prefix, blob.repository, blob.digest), signal);
    if (data.contentType !== contentTypes.Blob) throw new BlobUnavailable("the server does not have it");
    const { buffer, byteOffset, byteLength } = data.content;
    const metadata = decodeMetadata(Buffer.from(buffer, byteOffset, byteLength));
    if (metadata !== undefined && isPlausible(this.prefix, blob, metadata)) return metadata;
    throw new BlobUnavailable("metadata is malformed");
  }

  private async express(name: Name, signal: AbortSignal) {
    const rtoMs = Math.min(this.consumer.rtt.rtoMs, metadataTimeoutMs / 2);
    try {
      const data = await this.control.express(name, rtoMs, metadataTimeoutMs, signal);
      this.silences = 0;
      return data;
    } catch (err: unknown) {
      signal.throwIfAborted();
      this.noteSilence();
      throw new BlobUnavailable(`no metadata over NDN: ${(err as Error).message}`, { cause: err });
    }
  }

  private noteSilence(): void {
    if (++this.silences < silencesUntilRest) return;
    this.silences = 0;
    this.restsUntilMs = performance.now() + restMs;
  }

  private async *readFrom(
    blob: BlobRef,
    metadata: Metadata,
    offset: number,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const { sizeBytes, segmentBytes, lastSegment } = metadata;
    if (offset === sizeBytes && sizeBytes > 0) return;
    const plain = segmentBytes === plainSegmentBytes ? plainName(this.prefix, blob.repository, blob.digest) : undefined;
    const firstSegment = Math.floor(offset / segmentBytes);
    let skip = offset - firstSegment * segmentBytes;
    const what = {
      object: metadata.name,
      hint: repositoryName(this.prefix, blob.repository),
      ...(plain && { alternative: plain }),
      firstSegment,
      lastSegment,
      segmentBytes,
      lastSegmentBytes: sizeBytes - lastSegment * segmentBytes,
    };
    try {
      for await (const block of this.consumer.fetch(what, signal)) {
        yield skip > 0 ? block.subarray(skip) : block;
        skip = 0;
      }
    } catch (err: unknown) {
      if (err instanceof FetchFailed) throw new BlobUnavailable(err.message, { cause: err });
      throw err;
    }
  }
}

/** Metadata is believed only if it is what the wire contract makes of this digest and size (PROTOCOL.md § Metadata). */
function isPlausible(prefix: Name, blob: BlobRef, metadata: Metadata): boolean {
  const size = segmentSizes.find((allowed) => allowed === metadata.segmentBytes);
  return (
    size !== undefined &&
    metadata.name.equals(objectName(prefix, blob.digest, size)) &&
    metadata.lastSegment === lastSegmentOf(metadata.sizeBytes, size)
  );
}
