/**
 * Objects that are small enough to be in memory whole: manifests and snapshots.
 */
import { lastSegmentOf, objectEncoder, objectName, type SegmentSize } from "#blob/names.ts";
import type { SegmentDataEncoder } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Payload, SegmentedObject, SegmentWaiter } from "#ndn/producer.ts";
import type { Digest } from "#oci/reference.ts";
import type { HashedSegments } from "../segment-digests.ts";

/** Where its bytes are, for as long as they are. */
export interface HeldBytes {
  readonly sizeBytes: number;
  /** Undefined when they are gone, or may not be sent any more. */
  bytes(): Buffer | undefined;
}

/**
 * One of them, cut into segments of one size. It does not keep its bytes, so that objects that a producer has open take
 * up no more than the memory that is for them.
 */
export class HeldObject implements SegmentedObject, HashedSegments {
  readonly encoder: SegmentDataEncoder;
  readonly lastSegment: number;
  readonly #held: HeldBytes;
  readonly #segmentBytes: SegmentSize;

  constructor(prefix: Name, digest: Digest, size: SegmentSize, held: HeldBytes) {
    this.encoder = objectEncoder(objectName(prefix, digest, size), held.sizeBytes, size);
    this.lastSegment = lastSegmentOf(held.sizeBytes, size);
    this.#held = held;
    this.#segmentBytes = size;
  }

  get isCurrent(): boolean {
    return this.#held.bytes() !== undefined;
  }

  locate(n: number): Payload | undefined {
    const buf = this.#held.bytes();
    const start = n * this.#segmentBytes;
    return buf && { buf, start, end: Math.min(buf.length, start + this.#segmentBytes) };
  }

  peek(n: number): Payload | undefined {
    return this.locate(n);
  }

  /** It has no pages that could make room. */
  startHashing(): () => void {
    return () => undefined;
  }

  /** There is nothing to read: what is gone is opened anew. */
  load(_n: number, waiter: SegmentWaiter): void {
    waiter.done();
  }
}
