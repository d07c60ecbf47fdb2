/**
 * Limits on bytes per second: one token bucket for all readers of a kind of source, which take turns.
 */
import { TokenBucket } from "#base/limits.ts";
import { type BlobSource, withOpen } from "./source.ts";

/** Bytes that may pass per second, shared by all that take from it. */
export class Bandwidth extends TokenBucket {
  /** Pieces longer than this are better taken in parts, so that a slow limit flows instead of jerking. */
  readonly pieceBytes: number;

  /** @param bytesPerSecond - Above 0. */
  constructor(bytesPerSecond: number) {
    super(bytesPerSecond, Math.max(leastBurstBytes, bytesPerSecond * burstSeconds));
    this.pieceBytes = Math.max(leastPieceBytes, Math.floor(bytesPerSecond * burstSeconds));
  }
}

const burstSeconds = 0.25;
const leastBurstBytes = 1024 * 1024;
const leastPieceBytes = 16 * 1024;

/** A limit of `bytesPerSecond` (above 0); undefined for no limit. */
export function createBandwidth(bytesPerSecond: number | undefined): Bandwidth | undefined {
  return bytesPerSecond === undefined ? undefined : new Bandwidth(bytesPerSecond);
}

/** `source` at no more than `bandwidth`, over all of its readers. */
export function limited(source: BlobSource, bandwidth: Bandwidth): BlobSource {
  return withOpen(source, async (blob, from, signal) => {
    const { sizeBytes, chunks } = await source.open(blob, from, signal);
    return { sizeBytes, chunks: limitedStream(chunks, bandwidth, signal) };
  });
}

/** The same bytes no faster than `bandwidth`, perhaps in shorter pieces; leaving the loop early ends `chunks`. */
export function limitedStream<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  bandwidth: Bandwidth | undefined,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  return bandwidth ? paced(chunks, bandwidth, signal) : chunks;
}

async function* paced(
  chunks: AsyncIterable<Uint8Array>,
  bandwidth: Bandwidth,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += bandwidth.pieceBytes) {
      const piece = chunk.subarray(start, start + bandwidth.pieceBytes);
      await bandwidth.take(piece.length, signal);
      yield piece;
    }
  }
}
