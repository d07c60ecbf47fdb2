/**
 * One fetch of one blob, whoever wants it: from the sources of one reader into a file that all readers follow.
 */
import { BlobCorrupt, BlobUnavailable, type SourceName } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import type { BlobStorePort, BlobWriter, CachedBlob } from "#store/store-port.ts";
import { closeFile, type FetchLog, newFile, resumeFile } from "./fetch-file.ts";
import { FetchPump } from "./fetch-pump.ts";
import { FetchReader, type Puller } from "./fetch-reader.ts";
import { GrowingBlob } from "./growing-blob.ts";
import { PartialSource } from "./partial-source.ts";
import { isTrusted, openFor } from "./puller-sources.ts";

/** A reader that brought sources. */
type Leader = FetchReader & { readonly puller: Puller };

const never = new AbortController().signal;

/** A fetch, to be run once, as soon as its first reader has joined. */
export class SharedFetch {
  readonly digest: Digest;
  readonly #store: BlobStorePort;
  readonly #log: FetchLog;
  readonly #patienceMs: number | undefined;
  readonly #readers = new Set<FetchReader>();
  readonly #cancelled = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #isEnding = false;
  #leader: Leader | undefined;
  #firstSource: SourceName = "store";
  #cached: CachedBlob | undefined;
  #writer: BlobWriter | undefined;
  #grown: GrowingBlob | undefined;
  #pump: FetchPump | undefined;

  /** @param patienceMs - See `GrowingBlob`. */
  constructor(store: BlobStorePort, digest: Digest, log: FetchLog, patienceMs?: number) {
    this.#store = store;
    this.digest = digest;
    this.#log = log;
    this.#patienceMs = patienceMs;
  }

  /** Whether one more reader may join: not in lock-step, where the first bytes are gone. */
  get isOpen(): boolean {
    return !this.#isEnding && !this.#grown?.isLockStep;
  }

  /** Whether `ended` is near. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Resolves when nothing more is fetched, and what there is of the blob is back in the store. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Undefined before the size is known. */
  get grown(): GrowingBlob | undefined {
    return this.#grown;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** What the first byte comes from, for this reader; undefined for one that follows. */
  ownSource(reader: FetchReader): SourceName | undefined {
    return this.#leader === reader ? this.#firstSource : undefined;
  }

  /** Take part until the signal fires or all is read. Without `puller` only as long as others fetch. */
  join(puller: Puller | undefined, signal: AbortSignal): FetchReader {
    const onAbort = () => {
      reader.opened.reject(signal.reason);
      reader.leave();
    };
    const reader = new FetchReader(puller, () => {
      signal.removeEventListener("abort", onAbort);
      this.#leave(reader);
    });
    this.#readers.add(reader);
    signal.addEventListener("abort", onAbort, { once: true });
    if (this.#grown) reader.opened.resolve(this.#grown);
    return reader;
  }

  /** Break off; what is there stays as a partial. */
  cancel(): void {
    this.#isEnding = true;
    this.#cancelled.abort(new BlobUnavailable("the fetch was cancelled"));
  }

  /** Never rejects; resolves when all readers have left and the file is closed. */
  async run(): Promise<void> {
    let keep = true;
    try {
      if (!(await this.#openCached())) await this.#fetch();
      this.#isEnding = true;
      this.#ended.resolve();
      await this.#grown?.deserted(this.#cancelled.signal);
    } catch (err: unknown) {
      this.#isEnding = true;
      keep = !(err instanceof BlobCorrupt);
      this.#failAll(err);
    }
    await this.#close(keep);
    this.#ended.resolve();
  }

  #leave(reader: FetchReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#grown?.ring();
    if (this.#readers.size === 0 && !this.#isEnding) this.cancel();
  }

  /** The blob may have come into the store since the caller looked. */
  async #openCached(): Promise<boolean> {
    this.#cached = this.#store.has(this.digest)
      ? await this.#store.open(this.digest).catch(() => undefined)
      : undefined;
    if (!this.#cached) return false;
    const grown = new GrowingBlob(this.#cached.sizeBytes, this.#cached, this.#readers);
    grown.isVerified = true;
    grown.release(grown.sizeBytes);
    this.#announce(grown);
    return true;
  }

  /** Fetch from the first reader's sources; when they fail, from those of the next one, who is there with its own rights. */
  async #fetch(): Promise<void> {
    this.#writer = await resumeFile(this.#store, this.digest, this.#log);
    let failure: unknown;
    for (let leader = this.#nextLeader(); leader; leader = this.#nextLeader()) {
      try {
        await this.#fetchWith(leader);
        return await this.#commit();
      } catch (err: unknown) {
        // Wrong bytes are thrown away, whether or not anybody is left to hear of it.
        if (!(err instanceof BlobCorrupt)) this.#cancelled.signal.throwIfAborted();
        failure = err;
        await this.#overcome(leader, err);
      }
    }
    throw new BlobUnavailable("nobody is left who could fetch the blob", { cause: failure });
  }

  #nextLeader(): Leader | undefined {
    this.#cancelled.signal.throwIfAborted();
    this.#leader = [...this.#readers].find((reader): reader is Leader => !reader.hasLed && reader.puller !== undefined);
    if (this.#leader) this.#leader.hasLed = true;
    this.#firstSource = "store"; // what an earlier one's sources have granted is not this one's
    return this.#leader;
  }

  async #fetchWith(leader: Leader): Promise<void> {
    const partial = this.#writer && this.#writer.writtenBytes > 0 ? new PartialSource(this.#writer) : undefined;
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#cancelled.signal, failed.signal]);
    try {
      const read = await openFor(leader.puller, partial, signal);
      this.#firstSource = read.source;
      this.#pump ??= await this.#begin(read.sizeBytes, leader);
      const { sizeBytes } = this.#grown!;
      if (read.sizeBytes !== sizeBytes) throw new BlobCorrupt(`${read.sizeBytes} bytes of a blob of ${sizeBytes}`);
      const trusts = (name: SourceName) => isTrusted(leader.puller, name);
      await this.#pump.pump({ read, partial, isTrusted: trusts, fetchedFor: leader });
    } catch (err: unknown) {
      failed.abort(err); // a read that was opened is also ended when nobody has begun to take its chunks
      throw err;
    }
  }

  async #begin(sizeBytes: number, leader: Leader): Promise<FetchPump> {
    this.#writer ??= await newFile(this.#store, this.digest, sizeBytes, this.#log);
    const grown = new GrowingBlob(sizeBytes, this.#writer, this.#readers, this.#patienceMs);
    if (sizeBytes <= collectBytes) grown.isVerified = true; // openVerified has seen all of it
    if (!this.#writer) this.#dismissAllBut(leader);
    const pump = new FetchPump(grown, this.#writer, this.#cancelled.signal);
    this.#announce(grown);
    return pump;
  }

  /** Without a file nobody can follow: everyone else reads on their own. */
  #dismissAllBut(leader: Leader): void {
    for (const reader of [...this.#readers].filter((other) => other !== leader)) {
      reader.opened.resolve(undefined);
      reader.leave();
    }
  }

  #announce(grown: GrowingBlob): void {
    this.#grown = grown;
    for (const { opened } of this.#readers) opened.resolve(grown);
  }

  /** Return when others may go on where this one failed. */
  async #overcome(leader: Leader, err: unknown): Promise<void> {
    leader.ownFailure = err;
    if (!this.#grown) {
      leader.fail(err);
      return leader.leave();
    }
    const isInFile = await this.#pump!.flush();
    if (err instanceof BlobCorrupt || !isInFile || this.#grown.isLockStep) throw err;
  }

  async #commit(): Promise<void> {
    if (!this.#writer || this.#grown!.isLockStep) return;
    try {
      await this.#writer.commit();
    } catch (err: unknown) {
      this.#log.warn({ err, digest: this.digest }, "a fetched blob could not be stored");
    }
  }

  /** Everyone breaks off with what their own sources said; what those of others said is not for them. */
  #failAll(err: unknown): void {
    for (const reader of this.#readers) {
      const ofOthers = err instanceof BlobCorrupt ? err : new BlobUnavailable("the shared fetch ended", { cause: err });
      reader.fail(reader.ownFailure ?? ofOthers);
    }
    this.#grown?.ring();
  }

  async #close(keep: boolean): Promise<void> {
    await this.#pump?.close();
    await this.#grown?.idle(never);
    const err = this.#pump?.failure;
    if (err)
      this.#log.warn({ err, digest: this.digest }, "a blob could not be written, it was served without the store");
    if (this.#writer) await closeFile(this.#writer, keep && !this.#grown?.isLockStep, this.#log);
    await this.#cached
      ?.close()
      .catch((error: unknown) => this.#log.warn({ err: error }, "a cached blob could not be closed"));
  }
}
