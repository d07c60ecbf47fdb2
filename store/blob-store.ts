/**
 * Verified blobs on disk, within a budget. With a disk that is full or broken it keeps less, but
 * never a wrong byte, and makes no one wait.
 */

import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { reasonOf } from "#base/errors.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { type BlobEntry, OpenFiles } from "./blob-index.ts";
import { BlobReader } from "./blob-reader.ts";
import { DiskHealth, type StoreEvents, type StoreLog } from "./disk-health.ts";
import { DiskSpace, type Freed, type Partial } from "./disk-space.ts";
import { PinnedBlobs } from "./pinned-blobs.ts";
import { findBlobs, findPartials } from "./scan.ts";
import { SpoolFile } from "./spool-file.ts";
import { StoreDirectory } from "./store-directory.ts";
import { type BlobStorePort, type BlobWriter, type CachedBlob, StoreError } from "./store-port.ts";
import { UseTimes } from "./use-times.ts";
import { type VerifyProgress, type VerifyResult, verifyBlobs } from "./verify-blobs.ts";
import { Writers } from "./writers.ts";

/** Options of {@link BlobStore.open}. */
export interface BlobStoreOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Budget for blobs and what is being written of them. */
  readonly maxBytes: number;
  readonly log: StoreLog;
  readonly events?: StoreEvents;
  /** How long nothing is written after the disk has refused something. @defaultValue 10000 */
  readonly pauseMs?: number;
}

/** A blob as people see it. */
export interface BlobListing {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsedAt: number;
  readonly isOpen: boolean;
  readonly isPinned: boolean;
}

/** The store in one directory, of which this process is the only user until `close`. */
export class BlobStore implements BlobStorePort {
  /** Which blobs are never evicted. */
  readonly pins: PinnedBlobs;
  readonly #directory: StoreDirectory;
  readonly #files: OpenFiles;
  readonly #health: DiskHealth;
  readonly #space: DiskSpace;
  readonly #times: UseTimes;
  readonly #reader: BlobReader;
  readonly #writers: Writers;

  private constructor(options: BlobStoreOptions, directory: StoreDirectory, pins: PinnedBlobs) {
    const { maxBytes, log, events = {}, pauseMs = 10_000 } = options;
    const { layout } = directory;
    const [files, health] = [new OpenFiles(), new DiskHealth(log, events, pauseMs)];
    const space = new DiskSpace(maxBytes, layout, files, health, events, pins.all);
    pins.onChange = () => space.blobs.recheckKept();
    this.#directory = directory;
    this.#files = files;
    this.#health = health;
    this.#space = space;
    this.#times = new UseTimes(layout);
    const parts = { layout, space, files, health };
    this.#reader = new BlobReader(parts);
    this.#writers = new Writers({ ...parts, restore: () => this.#restore() });
    this.pins = pins;
  }

  /**
   * Claim the directory, read what is in it, and evict what the budget has no room for.
   *
   * @throws StoreError when the directory cannot be used, or another process has it.
   */
  static async open(options: BlobStoreOptions): Promise<BlobStore> {
    const path = resolve(options.directory);
    let [directory, store]: [StoreDirectory?, BlobStore?] = [];
    try {
      directory = await StoreDirectory.claim(path);
      store = new BlobStore(options, directory, await PinnedBlobs.load(path, options.log));
      await store.#readDirectory(options.log);
      return store;
    } catch (err: unknown) {
      await (store?.close() ?? directory?.release());
      if (err instanceof StoreError) throw err;
      throw new StoreError(
        `${path} cannot hold a cache (${reasonOf(err)}): make it a directory that this user can write to, or choose another one`,
        { cause: err },
      );
    }
  }

  get directory(): string {
    return this.#directory.layout.directory;
  }

  get maxBytes(): number {
    return this.#space.maxBytes;
  }

  /** Blobs, what broke off, and what running writers may still write. */
  get usedBytes(): number {
    return this.#space.usedBytes;
  }

  get count(): number {
    return this.#space.blobs.entries.size;
  }

  /** What broke off and waits to be continued, oldest first. */
  get partials(): Partial[] {
    return [...this.#space.partials.values()];
  }

  async open(digest: Digest): Promise<CachedBlob | undefined> {
    const entry = this.#space.blobs.entries.get(digest);
    const blob = entry && (await this.#reader.inspect(digest));
    if (blob) this.#use(entry);
    return blob;
  }

  /** The blob without counting as a use: for those who only look. */
  inspect(digest: Digest): Promise<CachedBlob | undefined> {
    return this.#reader.inspect(digest);
  }

  has(digest: Digest): boolean {
    return this.#space.blobs.entries.has(digest);
  }

  begin(digest: Digest, sizeBytes: number): Promise<BlobWriter | undefined> {
    return this.#writers.begin(digest, sizeBytes);
  }

  partial(digest: Digest): Partial | undefined {
    return this.#space.partials.get(digest);
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<boolean> {
    if (digestOfHash(createHash("sha256").update(bytes).digest()) !== digest) return false;
    const entry = this.#space.blobs.entries.get(digest);
    if (entry) {
      this.#use(entry);
      return true;
    }
    const writer = await this.#writers.begin(digest, bytes.length, true);
    try {
      await writer?.write(bytes);
      await writer?.commit();
      return writer !== undefined;
    } catch {
      return false; // logged and counted where the disk refused it
    } finally {
      await writer?.close(false);
    }
  }

  async spool(): Promise<SpoolFile | undefined> {
    if (performance.now() < this.#health.pausedUntil) return undefined;
    try {
      return await SpoolFile.open(this.#directory.layout, this.#space);
    } catch (err: unknown) {
      this.#health.failed(err, "beginning to keep bytes that are no blob yet");
      return undefined;
    }
  }

  async delete(digest: Digest): Promise<boolean> {
    const entry = this.#space.blobs.entries.get(digest);
    const partial = this.#space.partials.get(digest);
    // All is forgotten before the first await, so that nothing is begun or opened on what is to go.
    await Promise.all([
      entry && this.#space.removeBlob(entry),
      partial && this.#space.removePartial(partial),
      this.#writers.forget(digest),
    ]);
    return entry !== undefined;
  }

  /** Everything that is cached, least recently used first. */
  list(): BlobListing[] {
    return Array.from(this.#space.blobs.entries.values(), ({ digest, sizeBytes, lastUsedAt, pins, isKept }) => {
      return { digest, sizeBytes, lastUsedAt, isOpen: pins > 0, isPinned: isKept };
    });
  }

  /**
   * Hash everything that is cached, at half speed, and remove what is wrong.
   *
   * @throws the signal's reason.
   */
  verify(onProgress: (progress: VerifyProgress) => void = () => {}, signal = never): Promise<VerifyResult> {
    return verifyBlobs(this.#reader, onProgress, signal);
  }

  /** Evict what is least recently used until no more than this is used, as far as it is not open. */
  async prune(toBytes: number): Promise<Omit<Freed, "isComplete">> {
    const { removed, freedBytes } = await this.#space.shrinkTo(toBytes, true);
    return { removed, freedBytes };
  }

  /** Resolves when what has been committed until now is on the disk under its name; no one has to wait for that. */
  settled(): Promise<void> {
    return this.#writers.settled();
  }

  /** Wait until all that was committed is on the disk, and leave the directory to others. Readers may finish. */
  async close(): Promise<void> {
    await this.#writers.close();
    await this.#space.jobs.allIdle();
    await this.#times.close();
    await this.pins.close();
    this.#space.forgetAll();
    await this.#files.close();
    await this.#directory.release();
  }

  async #readDirectory(log: StoreLog): Promise<void> {
    const startedAt = performance.now();
    const { layout } = this.#directory;
    const { blobs } = this.#space;
    for (const { digest, sizeBytes, usedAt } of await findBlobs(layout)) blobs.add(digest, sizeBytes, usedAt);
    for (const { digest, wholeBytes, sizeBytes } of await findPartials(layout, (cached) => this.has(cached))) {
      this.#space.addPartial({ digest, sizeBytes: wholeBytes, writtenBytes: sizeBytes });
    }
    const { removed } = await this.#space.shrinkTo(this.maxBytes);
    const ms = Math.round(performance.now() - startedAt);
    log.info(
      { directory: this.directory, blobs: blobs.entries.size, bytes: this.usedBytes, removed, ms },
      "store opened",
    );
  }

  #use(entry: BlobEntry): void {
    this.#space.blobs.touch(entry);
    this.#times.used(entry);
  }

  /** The directory has been cleared away. */
  async #restore(): Promise<void> {
    await this.#directory.restore(this.#health);
    await this.#space.forgetMissing();
  }
}

const never = new AbortController().signal;
