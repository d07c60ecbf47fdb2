/**
 * A blob while it is being fetched: one writes, many read, each at its own pace.
 */

import { Bell } from "#base/change-notifier.ts";
import type { SourcedChunk } from "#blob/fallback.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { ByteOrigins } from "./byte-origins.ts";
import { LockStep } from "./shared-fetch-lock-step.ts";
import type { Loan } from "./tail-buffers.ts";

/** Where bytes that are there can be read again. */
export interface ReadableFile {
  /** Bytes `[start, end)` in pieces; a piece is valid until the next one is asked for. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** Where the newest bytes can be had before they are in the file, and need not be read from it. */
export interface LentBytes {
  /** A piece of what is there from `position` on; undefined when it is to come from the file. */
  lend(position: number): Loan | undefined;
}

/** One of the readers, as the growing blob sees it. */
export interface GrowthReader {
  /** The reader has taken all bytes before this one. */
  position: number;
  /** It wants none from this one on. */
  end: number;
  /** What it gets instead of further bytes. */
  readonly failure: unknown;
  /** It gets this instead of further bytes. */
  fail(err: unknown): void;
  /** Take it off the list of those who are present. */
  leave(): void;
}

interface DirectChunk {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/**
 * What has been released of a blob. Usually that is in a file, and readers do not wait for each other. Without a file
 * (disk full) it is in lock-step: each further chunk is handed to all readers, and the next comes when all have taken
 * it. A reader that the others have waited too long for is broken off.
 */
export class GrowingBlob {
  readonly sizeBytes: number;
  readonly origins = new ByteOrigins();
  /** Whether all bytes are there and hash to the digest. */
  isVerified = false;
  readonly #file: ReadableFile | undefined;
  readonly #readers: ReadonlySet<GrowthReader>;
  readonly #bell = new Bell();
  readonly #lockStep: LockStep;
  #lender: LentBytes | undefined;
  #inFileBytes = 0;
  #inMemoryBytes = 0;
  #isLockStep = false;
  #direct: DirectChunk | undefined;
  #handedBytes = 0;
  #inUse = 0;

  /**
   * @param readers - Those that are present, kept by the caller, who rings when one has left.
   * @param patienceMs - How long others wait in lock-step for one that holds them up. @defaultValue 15000
   */
  constructor(
    sizeBytes: number,
    file: ReadableFile | undefined,
    readers: ReadonlySet<GrowthReader>,
    patienceMs?: number,
  ) {
    this.sizeBytes = sizeBytes;
    this.#file = file;
    this.#readers = readers;
    this.#lockStep = new LockStep(readers, this.#bell, patienceMs);
  }

  /** Bytes `[0, releasedBytes)` can be read. */
  get releasedBytes(): number {
    return Math.max(this.#handedBytes, this.#inFileBytes, this.#inMemoryBytes);
  }

  get isLockStep(): boolean {
    return this.#isLockStep;
  }

  /** The file now has all bytes before `end`, and they may be read. */
  release(end: number): void {
    if (end <= this.#inFileBytes) return;
    this.#inFileBytes = end;
    this.#bell.ring();
  }

  /** Readers that have caught up are to be lent bytes, as long as they go into the file. */
  lendFrom(lender: LentBytes): void {
    this.#lender = lender;
  }

  /** All bytes before `end` are in memory or in the file, and those that are lent may be read. */
  hold(end: number): void {
    if (end <= this.#inMemoryBytes) return;
    this.#inMemoryBytes = end;
    this.#bell.ring();
  }

  /** From here on nothing more goes into the file. */
  goLockStep(): void {
    this.#isLockStep = true;
    this.#bell.ring();
  }

  /** Hand the bytes to all present readers and wait until they have taken them (`LockStep`); valid until this resolves. */
  async hand(start: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const end = start + bytes.length;
    this.#direct = { start, end, bytes };
    this.#handedBytes = end;
    this.#bell.ring();
    await this.#lockStep.taken(end, signal);
    this.#direct = undefined;
  }

  /** Fires when the others wait no longer for this reader; who sends its bytes on must stop at once. */
  brokenOff(reader: GrowthReader): AbortSignal {
    return this.#lockStep.brokenOff(reader);
  }

  /** Something else has changed: a reader has left or failed. */
  ring(): void {
    this.#bell.ring();
  }

  /** Wait until nobody is in the middle of reading the file. */
  async idle(signal: AbortSignal): Promise<void> {
    while (this.#inUse > 0) await this.#bell.heard(signal);
  }

  /** Wait until all readers have left. */
  async deserted(signal: AbortSignal): Promise<void> {
    while (this.#readers.size > 0) await this.#bell.heard(signal);
  }

  /**
   * Whether bytes `[start, end)` may be given out as they come: they end with the blob, so that the last of them waits
   * for the digest; or all is verified; or those that are there come from someone whose pieces can be believed.
   */
  mayRelease(start: number, end: number): boolean {
    return end >= this.sizeBytes || this.isVerified || this.origins.untrustedFrom(start) >= end;
  }

  /**
   * Bytes `[start, end)` for one reader, who leaves at their end. Waits for what is not there; a range that ends before
   * the blob does also waits until it can be believed. A chunk is valid until the next one is asked for.
   *
   * @param signal - When it fires the reader also leaves, and whoever keeps the readers rings.
   */
  async *read(reader: GrowthReader, start: number, end: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    reader.position = start;
    reader.end = end;
    try {
      while (reader.position < end) {
        this.#check(reader, signal);
        const until = this.#mayReadUntil(reader, end);
        const loan = this.#loanFor(reader, until);
        if (loan) yield* this.#fromLoan(reader, loan, Math.min(this.#inMemoryBytes, until));
        else if (reader.position < Math.min(this.#inFileBytes, until)) yield* this.#fromFile(reader, until, signal);
        else if (this.#directFor(reader, until)) yield* this.#fromHand(reader, until, signal);
        else if (this.#isLockStep && reader.position >= until) throw new BlobUnavailable("the range is not verified");
        else await this.#bell.next(); // `heard` would add a listener to the signal for each piece
      }
    } finally {
      reader.leave();
    }
  }

  #check(reader: GrowthReader, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (reader.failure !== undefined) throw reader.failure;
  }

  #mayReadUntil({ position }: GrowthReader, end: number): number {
    if (end >= this.sizeBytes || this.isVerified) return end;
    return Math.min(end, this.origins.untrustedFrom(position));
  }

  // In lock-step the same bytes are handed: one way for all.
  #loanFor({ position }: GrowthReader, until: number): Loan | undefined {
    if (this.#isLockStep || position >= Math.min(this.#inMemoryBytes, until)) return undefined;
    return this.#lender?.lend(position);
  }

  async *#fromLoan(reader: GrowthReader, { bytes, giveBack }: Loan, until: number): AsyncGenerator<SourcedChunk> {
    let isTaken = false;
    try {
      yield* this.#labelled(reader, bytes.subarray(0, until - reader.position));
      isTaken = true;
    } finally {
      giveBack(isTaken); // one that leaves early may have the bytes on their way to a socket
    }
    if (this.#isLockStep) this.#bell.ring(); // which may have begun meanwhile, and waits for all to have these bytes
  }

  #directFor({ position }: GrowthReader, until: number): boolean {
    return this.#direct !== undefined && this.#direct.start <= position && position < Math.min(this.#direct.end, until);
  }

  async *#fromHand(reader: GrowthReader, until: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    const { start, bytes } = this.#direct!;
    for (const chunk of this.#labelled(reader, bytes.subarray(reader.position - start, until - start))) {
      yield chunk;
      this.#check(reader, signal); // broken off, its bytes are used for others
    }
    this.#bell.ring();
  }

  async *#fromFile(reader: GrowthReader, until: number, signal: AbortSignal): AsyncGenerator<SourcedChunk> {
    const end = Math.min(this.#inFileBytes, until);
    const pieces = this.#file!.read(reader.position, end)[Symbol.asyncIterator]();
    try {
      // To its own end: the file's buffers are its to use again only then.
      for (;;) {
        const { done, value } = await this.#using(() => nextOf(pieces));
        if (done) break;
        yield* this.#labelled(reader, value);
        this.#check(reader, signal); // the file may have been closed meanwhile
      }
      if (reader.position < end) throw new BlobUnavailable(`the store ended at byte ${reader.position} of ${end}`);
    } finally {
      await pieces.return?.();
    }
  }

  async #using<T>(work: () => Promise<T>): Promise<T> {
    this.#inUse += 1;
    try {
      return await work();
    } finally {
      this.#inUse -= 1;
      if (this.#inUse === 0) this.#bell.ring();
    }
  }

  *#labelled(reader: GrowthReader, bytes: Uint8Array): Generator<SourcedChunk> {
    for (const chunk of this.origins.labelled(reader.position, bytes, reader)) {
      yield chunk;
      reader.position += chunk.bytes.length;
    }
  }
}

async function nextOf(pieces: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array, unknown>> {
  try {
    return await pieces.next();
  } catch (err: unknown) {
    throw new BlobUnavailable("the store cannot be read", { cause: err });
  }
}
