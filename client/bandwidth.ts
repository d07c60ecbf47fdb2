/**
 * Limits on bytes per second: one token bucket for all readers of a kind of source, who take turns.
 */
import type { BlobSource } from "#blob/source.ts";

/** What may pass per second, shared by all who take from it. */
export interface Bandwidth {
  /** Pieces longer than this are better taken in parts, so that a slow limit flows instead of jerking. */
  readonly pieceBytes: number;
  /**
   * Resolves when these bytes may pass. Those who wait are served in order. More bytes than the bucket holds are let
   * through once it is full and paid off afterwards.
   *
   * @throws The signal's reason.
   */
  take(bytes: number, signal: AbortSignal): Promise<void>;
}

interface Waiting {
  readonly bytes: number;
  go(): void;
}

const burstSeconds = 0.25;
const leastBurstBytes = 1024 * 1024;
const leastPieceBytes = 16 * 1024;

/** A limit of `bytesPerSecond` (above 0); undefined for no limit. */
export function createBandwidth(bytesPerSecond: number | undefined): Bandwidth | undefined {
  return bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond);
}

/** `source` at no more than `bandwidth`, over all of its readers; without a limit the same source, at no cost. */
export function limited(source: BlobSource, bandwidth: Bandwidth | undefined): BlobSource {
  if (!bandwidth) return source;
  return {
    name: source.name,
    get isVerified() {
      return source.isVerified;
    },
    async open(blob, from, signal) {
      const { sizeBytes, chunks } = await source.open(blob, from, signal);
      return { sizeBytes, chunks: limitedStream(chunks, bandwidth, signal) };
    },
  };
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

class TokenBucket implements Bandwidth {
  readonly pieceBytes: number;
  private readonly bytesPerMs: number;
  private readonly burstBytes: number;
  // Below zero, it is a debt: the next one waits until it is paid.
  private tokens: number;
  private filledAtMs = performance.now();
  private readonly queue = new Set<Waiting>();
  private timer: NodeJS.Timeout | undefined;

  constructor(bytesPerSecond: number) {
    this.bytesPerMs = bytesPerSecond / 1000;
    this.pieceBytes = Math.max(leastPieceBytes, Math.floor(bytesPerSecond * burstSeconds));
    this.burstBytes = Math.max(leastBurstBytes, bytesPerSecond * burstSeconds);
    this.tokens = this.burstBytes;
  }

  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.fill();
    if (this.queue.size === 0 && this.isEnough(bytes)) this.tokens -= bytes;
    else await this.waitFor(bytes, signal);
  }

  private waitFor(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.queue.delete(waiting);
        this.serve(); // those behind may need less
        reject(signal.reason);
      };
      const go = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const waiting = { bytes, go };
      signal.addEventListener("abort", onAbort, { once: true });
      this.queue.add(waiting);
      this.serve();
    });
  }

  /** Let go whoever may, in order, and come back when the next one may. */
  private serve(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.fill();
    for (const waiting of this.queue) {
      if (!this.isEnough(waiting.bytes)) {
        const missing = this.needed(waiting.bytes) - this.tokens;
        this.timer = setTimeout(() => this.serve(), Math.max(1, Math.ceil(missing / this.bytesPerMs)));
        return;
      }
      this.tokens -= waiting.bytes;
      this.queue.delete(waiting);
      waiting.go();
    }
  }

  private isEnough(bytes: number): boolean {
    return this.tokens >= this.needed(bytes);
  }

  /** A piece larger than the bucket would never fit: it goes when the bucket is full. */
  private needed(bytes: number): number {
    return Math.min(bytes, this.burstBytes);
  }

  private fill(): void {
    const nowMs = performance.now();
    this.tokens = Math.min(this.burstBytes, this.tokens + (nowMs - this.filledAtMs) * this.bytesPerMs);
    this.filledAtMs = nowMs;
  }
}
