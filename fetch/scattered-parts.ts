/**
 * Parts of one blob that were read by themselves, as they came: what has passed is kept, so that the whole blob is put
 * together from it, and no byte fetched twice.
 */
import { IntervalSet } from "#base/intervals.ts";
import { ChangeNotifier } from "#base/waiting.ts";
import type { SourcedChunk } from "#blob/fallback.ts";
import { BlobCorrupt, type BlobRef, type BlobSource, type ResumePoint, withOpen } from "#blob/source.ts";
import type { Spool } from "#store/store-port.ts";
import type { FetchedBlob } from "./fetcher.ts";

/** Bytes `[start, end)` of the blob, in the spool from `at` on. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** A read that is under way: it will bring the bytes up to `end`, unless it stops. */
interface Claim {
  position: number;
  readonly end: number;
  movedAtMs: number;
}

/** A read that has brought nothing for this long is not waited for. */
const claimPatienceMs = 10_000;
/** To fetch less once more costs less than a question for what is before it, and one for what is behind. */
const keptAtLeastBytes = 64 * 1024;
/** Places that little was asked for in are counted up to here: who reads so many does not want the whole. */
const maxAskedPlaces = 10_000;

export class ScatteredParts {
  readonly sizeBytes: number;
  readonly #spool: Spool;
  readonly #asked = new IntervalSet();
  #present = new IntervalSet();
  /** By where they start. */
  readonly #pieces = new Map<number, Piece>();
  readonly #claims = new Set<Claim>();
  readonly #changes = new ChangeNotifier();
  #isFull = false;

  /** @param spool - Closed by the caller. */
  constructor(sizeBytes: number, spool: Spool) {
    this.sizeBytes = sizeBytes;
    this.#spool = spool;
  }

  /** Whether more than half of the blob has been asked for. */
  get isMostlyAsked(): boolean {
    return this.#asked.size > this.sizeBytes / 2;
  }

  /** What the read brings, kept as it passes unless that is little. @param signal - Fires when the read is over at the latest. */
  keep({ range, chunks }: Pick<FetchedBlob, "range" | "chunks">, signal: AbortSignal): AsyncIterable<SourcedChunk> {
    const { start, end } = range;
    const isLittle = end - start < keptAtLeastBytes;
    if (!isLittle || this.#asked.count < maxAskedPlaces) this.#asked.add(start, end);
    if (isLittle || signal.aborted) return chunks;
    const claim = { position: start, end, movedAtMs: performance.now() };
    this.#claims.add(claim);
    signal.addEventListener("abort", () => this.#end(claim), { once: true });
    return this.#kept(chunks, claim);
  }

  async *#kept(chunks: AsyncIterable<SourcedChunk>, claim: Claim): AsyncGenerator<SourcedChunk> {
    try {
      for await (const chunk of chunks) {
        await this.#write(claim.position, chunk.bytes);
        claim.position += chunk.bytes.length;
        claim.movedAtMs = performance.now();
        this.#changes.notify();
        yield chunk;
      }
    } finally {
      this.#end(claim);
    }
  }

  #end(claim: Claim): void {
    if (this.#claims.delete(claim)) this.#changes.notify();
  }

  /** `inner`, asked only for what is not kept, nor about to come. */
  source(inner: BlobSource): BlobSource {
    return withOpen(inner, async (blob, from, signal) => {
      // Of nothing: it says the size, and whether the puller may have the blob.
      const { sizeBytes, chunks } = await inner.open(blob, { ...from, end: from.offset }, signal);
      for await (const bytes of chunks) if (bytes.length > 0) break;
      if (sizeBytes !== this.sizeBytes) throw new BlobCorrupt(`${sizeBytes} bytes of a blob of ${this.sizeBytes}`);
      return { sizeBytes, chunks: this.#chunks(inner, blob, from, signal) };
    });
  }

  /** Of these bytes, what is not there already. */
  async #write(start: number, bytes: Uint8Array): Promise<void> {
    const end = start + bytes.length;
    for (let at = this.#present.endFrom(start); at < end && !this.#isFull; at = this.#present.endFrom(at)) {
      const until = Math.min(end, this.#present.nextFrom(at));
      await this.#writePiece(at, until, bytes.subarray(at - start, until - start));
    }
  }

  async #writePiece(start: number, end: number, bytes: Uint8Array): Promise<void> {
    try {
      this.#pieces.set(start, { start, end, at: await this.#spool.write(bytes) });
      this.#present.add(start, end);
    } catch {
      this.#isFull = true; // the disk's trouble costs what is kept, not the read
    }
  }

  async *#chunks(inner: BlobSource, blob: BlobRef, from: ResumePoint, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let offset = from.offset; offset < this.sizeBytes; ) {
      const piece = this.#pieceAt(offset);
      if (!piece && this.#isComing(offset)) {
        await this.#change(signal);
        continue;
      }
      const chunks = piece ? this.#fromSpool(piece, offset) : this.#fromInner(inner, blob, offset, signal);
      for await (const bytes of chunks) {
        offset += bytes.length;
        yield bytes;
      }
    }
  }

  /** One that starts there; else, as after a break, one that has it somewhere. */
  #pieceAt(offset: number): Piece | undefined {
    if (this.#present.endFrom(offset) === offset) return undefined;
    const isThere = ({ start, end }: Piece) => start <= offset && offset < end;
    return this.#pieces.get(offset) ?? this.#pieces.values().find(isThere);
  }

  /** To the end of the piece, or until the spool is closed: then nothing is kept any more. */
  async *#fromSpool({ start, end, at }: Piece, offset: number): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#spool.read(at + offset - start, at + end - start);
    } catch {
      this.#isFull = true;
      this.#pieces.clear();
      this.#present = new IntervalSet();
    }
  }

  /** Up to where something is kept, or about to come. */
  async *#fromInner(inner: BlobSource, blob: BlobRef, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const claimed = [...this.#claims].map(({ position }) => position).filter((position) => position > offset);
    const end = Math.min(this.sizeBytes, this.#present.nextFrom(offset), ...claimed);
    const { chunks } = await inner.open(blob, { offset, end, sizeBytes: this.sizeBytes }, signal);
    let left = end - offset;
    for await (const bytes of chunks) {
      yield bytes.length > left ? bytes.subarray(0, left) : bytes;
      left -= bytes.length;
      if (left <= 0) return;
    }
  }

  #isComing(offset: number): boolean {
    const sinceMs = performance.now() - claimPatienceMs;
    return [...this.#claims].some(
      ({ position, end, movedAtMs }) => position <= offset && offset < end && movedAtMs > sinceMs,
    );
  }

  /** Until a read has moved or ended, or its time may be over. */
  async #change(signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => this.#changes.notify(), claimPatienceMs);
    try {
      await this.#changes.wait(signal);
    } finally {
      clearTimeout(timer);
    }
  }
}
