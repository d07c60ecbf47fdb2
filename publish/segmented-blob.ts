/**
 * A blob cut into segments of one size: what the producer answers from.
 */
import { lastSegmentOf } from "#blob/names.ts";
import type { SegmentDataEncoder } from "#ndn/packet/data.ts";
import type { Payload, SegmentedObject } from "#ndn/producer.ts";
import { pageBytes } from "./page-cache.ts";
import type { PagedBlob } from "./paged-blob.ts";

/** Segments of `segmentBytes` over the pages of a blob. */
export class SegmentedBlob implements SegmentedObject {
  readonly encoder: SegmentDataEncoder;
  readonly lastSegment: number;
  private readonly blob: PagedBlob;
  private readonly segmentBytes: number;
  /** Filled again by every `locate`: nothing is allocated per segment (hot path). */
  private readonly payload: { buf: Buffer; start: number; end: number } = { buf: Buffer.alloc(0), start: 0, end: 0 };

  constructor(blob: PagedBlob, segmentBytes: number, encoder: SegmentDataEncoder) {
    this.blob = blob;
    this.segmentBytes = segmentBytes;
    this.encoder = encoder;
    this.lastSegment = lastSegmentOf(blob.sizeBytes, segmentBytes);
  }

  get isCurrent(): boolean {
    return this.blob.isCurrent;
  }

  locate(n: number): Payload | undefined {
    const start = n * this.segmentBytes;
    const end = Math.min(this.blob.sizeBytes, start + this.segmentBytes);
    const pageStart = start - (start % pageBytes);
    const endInPage = Math.min(end, pageStart + pageBytes);
    const page = this.blob.pageAt(start, endInPage);
    if (page === undefined) return undefined;
    if (endInPage < end) return this.locateAcross(page.buf.subarray(start - pageStart), endInPage, end);
    const { payload } = this;
    payload.buf = page.buf;
    payload.start = start - pageStart;
    payload.end = end - pageStart;
    return payload;
  }

  load(n: number, done: () => void): void {
    const start = n * this.segmentBytes;
    const end = Math.min(this.blob.sizeBytes, start + this.segmentBytes);
    const boundary = start - (start % pageBytes) + pageBytes;
    if (end <= boundary) this.blob.whenFilled(start, end, done);
    else this.blob.whenFilled(start, boundary, () => this.blob.whenFilled(boundary, end, done));
  }

  /** Segments of 1200 bytes do not divide a page: some lie on two. */
  private locateAcross(head: Buffer, boundary: number, end: number): Payload | undefined {
    const next = this.blob.pageAt(boundary, end);
    if (next === undefined) return undefined;
    const buf = Buffer.concat([head, next.buf.subarray(0, end - boundary)]);
    return { buf, start: 0, end: buf.length };
  }
}
