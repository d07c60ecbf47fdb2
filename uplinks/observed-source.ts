/**
 * A source over one path of several, which tells the choice among them how its reads go, and is left when it crawls.
 */
import { Overtaken } from "#blob/hedge.ts";
import { type BlobRead, type BlobSource, BlobUnavailable, BlobUnknown } from "#blob/source.ts";
import type { ReadOutcome } from "./path-stats.ts";
import type { ReadSample } from "./read-sample.ts";

/**
 * `inner`, observed.
 *
 * @param begin - Called when a read begins.
 * @param leavesCrawling - Whether a read breaks off when the path has become much slower than it was; not for a source
 * after which there is none.
 */
export function observedSource(inner: BlobSource, begin: () => ReadSample, leavesCrawling: boolean): BlobSource {
  return {
    name: inner.name,
    get isVerified() {
      return inner.isVerified;
    },
    async open(blob, from, signal) {
      const observed = new ObservedRead(begin(), signal, leavesCrawling);
      try {
        return observed.follow(await inner.open(blob, from, signal), from.offset);
      } catch (err: unknown) {
        observed.end(observed.outcomeOf(err));
        throw err;
      }
    },
  };
}

class ObservedRead {
  private readonly sample: ReadSample;
  private readonly signal: AbortSignal;
  private readonly leavesCrawling: boolean;
  /** The reader waits for the path: at first for the size, then for each piece. */
  private isAsked = true;
  private readonly onAbort = () => this.end(this.outcomeOf(this.signal.reason));

  constructor(sample: ReadSample, signal: AbortSignal, leavesCrawling: boolean) {
    this.sample = sample;
    this.signal = signal;
    this.leavesCrawling = leavesCrawling;
    signal.addEventListener("abort", this.onAbort, { once: true });
  }

  end(outcome: ReadOutcome): void {
    this.signal.removeEventListener("abort", this.onAbort);
    this.sample.ended(outcome);
  }

  /** One who was overtaken while it was waited for has been too slow; any other abort is no fault of the path. */
  outcomeOf(err: unknown): ReadOutcome {
    if (err instanceof BlobUnknown) return "unknown";
    if (err instanceof Overtaken) return this.isAsked ? "failed" : "cancelled";
    return this.signal.aborted ? "cancelled" : "failed";
  }

  follow(read: BlobRead, offset: number): BlobRead {
    this.isAsked = false;
    return { ...read, chunks: this.chunksOf(read, read.sizeBytes - offset) };
  }

  private async *chunksOf({ chunks }: BlobRead, leftBytes: number): AsyncGenerator<Uint8Array> {
    const iterator = chunks[Symbol.asyncIterator]();
    let left = leftBytes;
    try {
      for (let bytes = await this.ask(iterator); bytes; bytes = await this.ask(iterator)) {
        left -= bytes.length;
        if (left <= 0) this.end("complete"); // whoever has all of it asks no more
        yield bytes;
      }
      this.end(left <= 0 ? "complete" : "failed");
    } catch (err: unknown) {
      this.end(this.outcomeOf(err));
      throw err;
    } finally {
      this.end("cancelled");
      await iterator.return?.();
    }
  }

  private async ask(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
    if (this.leavesCrawling && this.sample.isCrawling) {
      throw new BlobUnavailable("the path has become much slower than it was, or than another");
    }
    const askedMs = performance.now();
    this.isAsked = true;
    const { done, value } = await iterator.next();
    this.isAsked = false;
    if (done === true) return undefined;
    this.sample.brought(value.length, performance.now() - askedMs);
    return value;
  }
}
