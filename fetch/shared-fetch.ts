/**
 * One fetch of one blob for all who want it: from the sources of one reader into a file that all readers follow.
 */
import { following } from "#base/abort.ts";
import { raceAbort } from "#base/waiting.ts";
import { BlobCorrupt, BlobUnavailable, type SourceName } from "#blob/source.ts";
import { collectBytes, openVerified } from "#blob/verify.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStorePort, BlobWriter, CachedBlob } from "#store/store-port.ts";
import { Arrivals, Lingering } from "./arrivals.ts";
import type { WindowBudget } from "./broadcast-window.ts";
import { type FetchReader, FetchReaders, type SharedFetchOptions } from "./fetch-reader.ts";
import { closeFile, type FetchLog, FetchWriter, newFile, resumeFile } from "./fetch-writer.ts";
import type { FetchedBlob, FetchRequest } from "./fetcher.ts";
import { InFlightBlob } from "./in-flight-blob.ts";
import { PartialSource, withoutRestMissing } from "./partial-source.ts";

const never = new AbortController().signal;

/** A fetch, to be run once, as soon as its first reader has joined. */
export class SharedFetch {
  readonly digest: Digest;
  readonly arrivals = new Arrivals();
  readonly readers = new FetchReaders(() => this.#left());
  /** Undefined before the size is known. */
  inFlight: InFlightBlob | undefined;
  /** Whether `ended` is near. */
  isEnding = false;
  /** Worth to be brought to its end for no one, as it is when more than half is stored. */
  isWanted = false;
  readonly #ended = Promise.withResolvers<void>();
  /** Resolves when nothing more is fetched, and what there is of the blob is back in the store. */
  readonly ended = this.#ended.promise;
  readonly #store: BlobStorePort;
  readonly #log: FetchLog;
  readonly #options: SharedFetchOptions;
  readonly #cancelled = new AbortController();
  readonly #lingering = new Lingering(this.arrivals);
  #leader: FetchReader | undefined;
  #firstSource: SourceName = "store";
  #cached: CachedBlob | undefined;
  #file: BlobWriter | undefined;
  #writer: FetchWriter | undefined;
  #windows: WindowBudget | undefined;

  constructor(store: BlobStorePort, digest: Digest, log: FetchLog, options: SharedFetchOptions = {}) {
    this.#store = store;
    this.digest = digest;
    this.#log = log;
    this.#options = options;
  }

  /** Whether one more reader, from `position` on, may join: a silent source is waited for by those who are there. */
  admits(position: number): boolean {
    return !this.isEnding && !this.arrivals.isSilent(this.readers.size) && (this.inFlight?.admits(position) ?? true);
  }

  /** Take part until the signal fires or all is read. */
  join(request: FetchRequest, signal: AbortSignal): FetchReader {
    const reader = this.readers.join(request, signal);
    this.#lingering.end();
    this.#windows?.withdraw(this.cancel);
    if (this.inFlight) reader.isShared.resolve(true);
    this.inFlight?.changes.notify();
    return reader;
  }

  /** What a reader gets of the blob, whose size is known. @param range - By default all of it. */
  readBy(reader: FetchReader, range: FetchedBlob["range"] | undefined, signal: AbortSignal): FetchedBlob {
    const inFlight = this.inFlight!;
    const { start, end } = range ?? { start: 0, end: inFlight.sizeBytes };
    [reader.position, reader.end] = [start, end]; // also before its first chunk is asked for
    const leader = this.#leader;
    const isFollower = leader !== reader;
    const isLeftOver = leader?.hasLeft && leader.position <= start && start < inFlight.sizeBytes;
    const isOfOthers = isFollower && !isLeftOver && !(leader?.isPart && reader.isPart);
    return {
      sizeBytes: inFlight.sizeBytes,
      source: isOfOthers ? "store" : this.#firstSource,
      isFollower,
      range: { start, end },
      chunks: inFlight.read(reader, start, end, signal),
      brokenOff: reader.brokenOff.signal,
    };
  }

  /** When all have left the fetch goes on for a while: containerd drops its first request on purpose, and asks for parts. */
  #left(): void {
    this.inFlight?.changes.notify();
    if (this.readers.size > 0 || this.isEnding) return;
    const { lingerMs } = this.#options;
    const canBeJoined = this.inFlight?.admits(Number.POSITIVE_INFINITY) ?? true;
    if (lingerMs === 0 || !canBeJoined) this.cancel();
    else {
      this.#lingering.begin(() => this.#isWorthIt, this.cancel, lingerMs);
      this.#windows?.offer(this.cancel);
    }
  }

  get #isWorthIt(): boolean {
    const { writtenBytes = 0, sizeBytes = 0 } = this.#file ?? {};
    return this.isWanted || writtenBytes > sizeBytes / 2;
  }

  /** Break off; what is there stays as a partial. */
  readonly cancel = (): void => {
    this.isEnding = true;
    this.#cancelled.abort(new BlobUnavailable("the fetch was cancelled"));
  };

  /** Never rejects; resolves when all readers have left and the file is closed. */
  async run(): Promise<void> {
    let keep = true;
    try {
      if (!(await this.#openCached())) await this.#fetch();
      await this.#writer?.close(); // its buffers are not to wait for slow readers
      // Of what is only in memory, the last part is there as long as anyone may come for it.
      if (this.#windows) await raceAbort(new Promise(() => {}), this.#cancelled.signal);
      this.isEnding = true;
      this.#ended.resolve();
      await this.inFlight?.noReadersLeft(this.#cancelled.signal);
    } catch (err: unknown) {
      this.isEnding = true;
      keep = !(err instanceof BlobCorrupt);
      this.#failAll(err);
    }
    this.#lingering.end();
    await this.#close(keep);
    this.#ended.resolve();
  }

  /** The blob may have come into the store since the caller looked. */
  async #openCached(): Promise<boolean> {
    this.#cached = await this.#store.open(this.digest).catch(() => undefined);
    if (!this.#cached) return false;
    const inFlight = new InFlightBlob(this.#cached.sizeBytes, this.#cached, this.readers);
    inFlight.isVerified = true;
    inFlight.release(inFlight.sizeBytes);
    this.#announce(inFlight);
    return true;
  }

  /** Fetch from the first reader's sources; when they fail, from those of the next one, who is there with its own rights. */
  async #fetch(): Promise<void> {
    this.#file = await resumeFile(this.#store, this.digest, this.#log);
    let failure: unknown;
    for (let leader = this.#nextLeader(); leader; leader = this.#nextLeader()) {
      try {
        await this.#fetchWith(leader);
        return await this.#writer!.commit(this.#log);
      } catch (err: unknown) {
        // Wrong bytes are thrown away, whether or not a reader is left.
        if (!(err instanceof BlobCorrupt)) this.#cancelled.signal.throwIfAborted();
        failure = err;
        await this.#overcome(leader, err);
      }
    }
    throw new BlobUnavailable("no one is left who could fetch the blob", { cause: failure });
  }

  #nextLeader(): FetchReader | undefined {
    this.#cancelled.signal.throwIfAborted();
    this.#leader = undefined;
    this.#firstSource = "store"; // what an earlier one's sources have granted is not this one's
    for (const reader of this.readers) {
      if (reader.hasLed) continue;
      reader.hasLed = true;
      this.#leader = reader;
      if (reader.end === 0) reader.leave(); // it only begins the fetch
      break;
    }
    return this.#leader;
  }

  async #fetchWith(leader: FetchReader): Promise<void> {
    const partial = this.#file && this.#file.writtenBytes > 0 ? new PartialSource(this.#file) : undefined;
    const { blob, sources, events } = leader.request;
    const isWaitedFor = () => this.readers.areNear(this.inFlight?.releasedBytes ?? 0);
    const noted = { ...events, arrived: this.arrivals.note, isWaitedFor };
    const failed = following(this.#cancelled.signal);
    const { signal } = failed;
    try {
      const read = partial
        ? await openVerified([partial, ...sources], blob, signal, withoutRestMissing(noted))
        : await openVerified(sources, blob, signal, noted);
      this.#firstSource = read.source;
      this.#writer ??= await this.#begin(read.sizeBytes, leader);
      const { sizeBytes } = this.inFlight!;
      if (read.sizeBytes !== sizeBytes) throw new BlobCorrupt(`${read.sizeBytes} bytes of a blob of ${sizeBytes}`);
      await this.#writer.write({ read, partial, sources, fetchedFor: leader });
    } catch (err: unknown) {
      failed.abort(err); // a read that was opened is also ended when no one has begun to take its chunks
      throw err;
    }
  }

  async #begin(sizeBytes: number, leader: FetchReader): Promise<FetchWriter> {
    this.#file ??= await newFile(this.#store, this.digest, sizeBytes, this.#log);
    if (!this.#file && this.#options.windows?.take()) this.#windows = this.#options.windows;
    if (this.readers.size === 0) this.#windows?.offer(this.cancel);
    const options = { ...this.#options, windowBytes: this.#windows?.windowBytes };
    const inFlight = new InFlightBlob(sizeBytes, this.#file, this.readers, options);
    if (sizeBytes <= collectBytes) inFlight.isVerified = true; // openVerified has seen all of it
    const writer = new FetchWriter(inFlight, this.#file, this.#cancelled.signal);
    if (!inFlight.admits(0)) {
      this.readers.dismissAllBut(leader);
      if (this.readers.size === 0) this.cancel(); // no one can come for it
    }
    this.#announce(inFlight);
    return writer;
  }

  #announce(inFlight: InFlightBlob): void {
    this.inFlight = inFlight;
    for (const { isShared } of this.readers) isShared.resolve(true);
  }

  /** Return when others may continue where this one failed. */
  async #overcome(leader: FetchReader, err: unknown): Promise<void> {
    leader.ownFailure = err;
    if (!this.inFlight) {
      leader.fail(err);
      return leader.leave();
    }
    const isInFile = await this.#writer!.flush();
    if (err instanceof BlobCorrupt || !isInFile || this.inFlight.isBroadcasting) throw err;
  }

  /** Everyone breaks off with what their own sources said; what those of others said is not for them. */
  #failAll(err: unknown): void {
    for (const reader of this.readers) {
      const ofOthers = err instanceof BlobCorrupt ? err : new BlobUnavailable("the shared fetch ended", { cause: err });
      reader.fail(reader.ownFailure ?? ofOthers);
    }
    this.inFlight?.changes.notify();
  }

  async #close(keep: boolean): Promise<void> {
    await this.#writer?.close();
    await this.inFlight?.idle(never);
    const err = this.#writer?.failure;
    const { digest } = this;
    if (err) this.#log.warn({ err, digest }, "a blob could not be written, it was served without the store");
    if (this.#file) await closeFile(this.#file, keep && !this.inFlight?.isBroadcasting, this.#log);
    this.#windows?.give(this.cancel);
    if (this.#cached) await closeFile(this.#cached, false, this.#log);
  }
}
