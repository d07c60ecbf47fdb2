/**
 * A blob while it is being fetched: one writes, many read, each at its own pace.
 */
import { ChangeNotifier } from "#base/waiting.ts";
import type { SourcedChunk } from "#blob/fallback.ts";
import { BlobUnavailable } from "#blob/source.ts";
import type { BlobWriter } from "#store/store-port.ts";
import { BroadcastBarrier } from "./broadcast-barrier.ts";
import { BroadcastWindow } from "./broadcast-window.ts";
import type { BufferRing, Lease } from "./buffer-ring.ts";
import { ByteOrigins, type InFlightReader } from "./fetch-reader.ts";

/** A rate says nothing before this much time. */
const rateWindowMs = 250;

/** How a blob without a file is broadcast. */
export interface BroadcastOptions {
  /** How long others wait for a reader that holds them up. @defaultValue 15000 */
  readonly slowReaderBudgetMs?: number | undefined;
  /** So much of what has been given is kept for those who come a little later. @defaultValue 0 */
  readonly windowBytes?: number | undefined;
}

/**
 * What has been released of a blob. Usually that is in a file, and readers do not wait for each other. Without a file
 * (no cache, disk full) it is broadcast: each further chunk is given to all readers, and chunks go when all have taken
 * them. A reader that the others have waited too long for is broken off.
 */
export class InFlightBlob {
  readonly sizeBytes: number;
  readonly origins = new ByteOrigins();
  /** Whether all bytes are there and hash to the digest. */
  isVerified = false;
  /** From here on nothing more goes into the file. */
  isBroadcasting = false;
  /** Bytes `[0, releasedBytes)` can be read. */
  releasedBytes = 0;
  /** Bytes before this one were on disk when it began. */
  resumedBytes = 0;
  /** Where readers that have caught up lease bytes, as long as they go into the file. */
  leaser: Pick<BufferRing, "lease"> | undefined;
  /** Notified when anything has changed; also to be when a reader has left or failed. */
  readonly changes = new ChangeNotifier();
  readonly #file: Pick<BlobWriter, "read"> | undefined;
  readonly #readers: ReadonlySet<InFlightReader>;
  readonly #options: BroadcastOptions;
  #window: BroadcastWindow | undefined;
  #inFileBytes = 0;
  #inMemoryBytes = 0;
  /** Reads of the file that are under way. */
  #fileReads = 0;
  readonly #beganMs = performance.now();

  /** @param readers - Those that are present, kept by the caller, who notifies when one has come or left. */
  constructor(
    sizeBytes: number,
    file: Pick<BlobWriter, "read"> | undefined,
    readers: ReadonlySet<InFlightReader>,
    options: BroadcastOptions = {},
  ) {
    this.sizeBytes = sizeBytes;
    this.#file = file;
    this.#readers = readers;
    this.#options = options;
  }

  /** Whether the byte at `position` is there, or will be soon: within so many bytes, or so many seconds at its rate. */
  reaches(position: number, bytes: number, seconds: number): boolean {
    const rate =
      Math.max(0, this.releasedBytes - this.resumedBytes) / Math.max(rateWindowMs, performance.now() - this.#beganMs);
    return position <= Math.max(this.resumedBytes, this.releasedBytes) + Math.max(bytes, 1000 * seconds * rate);
  }

  /** The file now has all bytes before `end`, and they may be read. */
  release(end: number): void {
    if (end <= this.#inFileBytes) return;
    this.#inFileBytes = end;
    this.releasedBytes = Math.max(this.releasedBytes, end);
    this.changes.notify();
  }

  /** All bytes before `end` are in memory or in the file, and those that can be leased may be read. */
  hold(end: number): void {
    if (end <= this.#inMemoryBytes) return;
    this.#inMemoryBytes = end;
    this.releasedBytes = Math.max(this.releasedBytes, end);
    this.changes.notify();
  }

  beginBroadcast(): void {
    this.isBroadcasting = true;
    this.changes.notify();
  }

  /** Give the bytes to all readers; valid until this resolves. */
  async broadcast(start: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { slowReaderBudgetMs, windowBytes = 0 } = this.#options;
    this.releasedBytes = Math.max(this.releasedBytes, start + bytes.length);
    this.#window ??= new BroadcastWindow(
      this.#readers,
      this.changes,
      new BroadcastBarrier(this.#readers, this.changes, slowReaderBudgetMs),
      windowBytes,
    );
    await this.#window.add(start, bytes, signal);
  }

  /** Whether a reader that begins at `position` finds all of its bytes: in a broadcast the first ones may be gone. */
  admits(position: number): boolean {
    if (!this.isBroadcasting) return true;
    return (this.#options.windowBytes ?? 0) > 0 && position >= (this.#window?.start ?? 0);
  }

  /** Wait until no one is in the middle of reading the file. */
  async idle(signal: AbortSignal): Promise<void> {
    while (this.#fileReads > 0) await this.changes.wait(signal);
  }

  /** Wait until all readers have left. */
  async noReadersLeft(signal: AbortSignal): Promise<void> {
    while (this.#readers.size > 0) await this.changes.wait(signal);
  }

  /**
   * Whether bytes `[start, end)` may be given out as they come: they end with the blob, so that the last of them waits
   * for the digest; or all is verified; or those that are there come from a source whose pieces can be believed.
   */
  mayRelease(start: number, end: number): boolean {
    return end >= this.sizeBytes || this.isVerified || this.origins.untrustedFrom(start) >= end;
  }

  /**
   * Bytes `[start, end)` for one reader, which leaves at their end. Waits for what is not there; a range that ends before
   * the blob does also waits until it can be believed. A chunk is valid until the next one is asked for.
   *
   * @param signal - When it fires the reader also leaves, and the one who keeps the readers notifies.
   */
  async *read(reader: InFlightReader, start: number, end: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    reader.position = start;
    reader.end = end;
    try {
      while (reader.position < end) {
        check(reader, signal);
        const { position } = reader;
        const until = this.#mayReadUntil(position, end);
        // In a broadcast the same bytes are given to all: there is one path for them.
        const isInMemory = !this.isBroadcasting && position < Math.min(this.#inMemoryBytes, until);
        const lease = isInMemory ? this.leaser?.lease(position) : undefined;
        if (lease) yield* this.#fromLease(reader, lease, Math.min(this.#inMemoryBytes, until));
        else if (position < Math.min(this.#inFileBytes, until)) yield* this.#fromFile(reader, until, signal);
        else if (position < until && this.#window?.chunkAt(position)) yield* this.#fromBroadcast(reader, until, signal);
        else if (this.isBroadcasting && position >= until) throw new BlobUnavailable("the range is not verified");
        else await this.changes.changed(); // `wait` would add a listener to the signal for each piece
      }
    } finally {
      reader.leave();
    }
  }

  #mayReadUntil(position: number, end: number): number {
    if (end >= this.sizeBytes || this.isVerified) return end;
    return Math.min(end, this.origins.untrustedFrom(position));
  }

  async *#fromLease(reader: InFlightReader, { bytes, giveBack }: Lease, until: number): AsyncGenerator<SourcedChunk> {
    let isTaken = false;
    try {
      yield* this.origins.labelled(bytes.subarray(0, until - reader.position), reader);
      isTaken = true;
    } finally {
      giveBack(isTaken); // one that leaves early may have the bytes on their way to a socket
    }
    if (this.isBroadcasting) this.changes.notify(); // which may have begun meanwhile, and waits for all to have these bytes
  }

  async *#fromBroadcast(reader: InFlightReader, until: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    const { start, bytes } = this.#window!.chunkAt(reader.position)!;
    for (const chunk of this.origins.labelled(bytes.subarray(reader.position - start, until - start), reader)) {
      yield chunk;
      check(reader, signal); // broken off, its bytes are used for others
    }
    this.changes.notify();
  }

  async *#fromFile(reader: InFlightReader, until: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    const end = Math.min(this.#inFileBytes, until);
    const pieces = this.#file!.read(reader.position, end)[Symbol.asyncIterator]();
    try {
      // To its own end: the file's buffers are its to use again only then.
      for (;;) {
        const { done, value } = await this.#nextOf(pieces);
        if (done) break;
        yield* this.origins.labelled(value, reader);
        check(reader, signal); // the file may have been closed meanwhile
      }
      if (reader.position < end) throw new BlobUnavailable(`the store ended at byte ${reader.position} of ${end}`);
    } finally {
      await pieces.return?.();
    }
  }

  async #nextOf(pieces: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array, unknown>> {
    this.#fileReads += 1;
    try {
      return await pieces.next();
    } catch (err: unknown) {
      throw new BlobUnavailable("the store cannot be read", { cause: err });
    } finally {
      this.#fileReads -= 1;
      if (this.#fileReads === 0) this.changes.notify();
    }
  }
}

function check(reader: InFlightReader, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (reader.failure !== undefined) throw reader.failure;
}
