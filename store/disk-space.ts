/**
 * Who takes how much of the budget, and who has to go when it is used up.
 */
import { access, unlink } from "node:fs/promises";
import { errorCode } from "#base/errors.ts";
import { Semaphore } from "#base/limits.ts";
import type { Digest } from "#oci/reference.ts";
import { type BlobEntry, BlobIndex, isIdle, type OpenFiles } from "./blob-index.ts";
import type { DiskHealth, StoreEvents } from "./disk-health.ts";
import type { ImageLayout } from "./image-layout.ts";

/** What broke off of a blob, and no one is writing now. */
export interface Partial {
  readonly digest: Digest;
  /** Of the whole blob. */
  readonly sizeBytes: number;
  readonly writtenBytes: number;
}

/** What eviction did. */
export interface Freed {
  /** Blobs and partials that went. */
  readonly removed: number;
  readonly freedBytes: number;
  /** False when the disk refused to remove one of them. */
  readonly isComplete: boolean;
}

// The thread pool has four threads: syncs take two at most, this one, and reads have what is left.
const unlinksAtOnce = 1;

/**
 * The budget holds on the disk, not only on paper: room is only given out when the files that made it are gone.
 * On paper bytes are free as soon as it is decided who goes, so that no one else counts on the same room.
 */
export class DiskSpace {
  readonly maxBytes: number;
  readonly blobs: BlobIndex;
  readonly jobs = new FileJobs();
  /** Bytes that are promised to writers; they may be written once `shrinkTo(maxBytes)` is through. */
  reservedBytes = 0;
  readonly #partials = new Map<Digest, Partial>();
  /** What broke off and waits to be continued, oldest first. */
  readonly partials: ReadonlyMap<Digest, Partial> = this.#partials;
  readonly #layout: ImageLayout;
  readonly #files: OpenFiles;
  readonly #health: DiskHealth;
  readonly #events: StoreEvents;
  readonly #unlinks = new Semaphore(unlinksAtOnce);
  readonly #removing = new Set<Promise<boolean>>();
  #partialBytes = 0;

  constructor(
    maxBytes: number,
    layout: ImageLayout,
    files: OpenFiles,
    health: DiskHealth,
    events: StoreEvents,
    kept: ReadonlySet<Digest>,
  ) {
    this.maxBytes = maxBytes;
    this.blobs = new BlobIndex(kept);
    this.#layout = layout;
    this.#files = files;
    this.#health = health;
    this.#events = events;
  }

  /** Everything that is there or promised to a writer. */
  get usedBytes(): number {
    return this.blobs.bytes + this.#partialBytes + this.reservedBytes;
  }

  /** Keep what broke off, as the most recent one. */
  addPartial(partial: Partial): void {
    this.#partials.set(partial.digest, partial);
    this.#partialBytes += partial.writtenBytes;
  }

  takePartial(digest: Digest): Partial | undefined {
    const partial = this.#partials.get(digest);
    if (this.#partials.delete(digest)) this.#partialBytes -= partial!.writtenBytes;
    return partial;
  }

  /** Whether evicting everything that is idle would make room for this. */
  couldHold(sizeBytes: number): boolean {
    const busyBytes = this.blobs.bytes - this.blobs.idleBytes + this.reservedBytes;
    return busyBytes + sizeBytes <= this.maxBytes;
  }

  /**
   * Evict until at most this much is used, as far as things are idle: what broke off first, then blobs.
   *
   * @param isOrdered - An operator wants it so: nothing had to make room.
   */
  async shrinkTo(targetBytes: number, isOrdered = false): Promise<Freed> {
    // All are queued before the first one is awaited: what asks for one of them afresh waits for its end.
    const evictions: Promise<number | undefined>[] = [];
    for (const partial of this.#partials.values()) {
      if (this.usedBytes <= targetBytes) break;
      evictions.push(this.#evictPartial(partial));
    }
    for (const entry of this.blobs.entries.values()) {
      if (this.usedBytes <= targetBytes) break;
      if (isIdle(entry)) evictions.push(this.#evictBlob(entry));
    }
    const sizes = (await Promise.all(evictions)).filter((size) => size !== undefined);
    if (!isOrdered) for (const size of sizes) this.#events.evicted?.(size);
    await Promise.all(this.#removing); // room that others have made on paper
    return {
      removed: sizes.length,
      freedBytes: sizes.reduce((sum, size) => sum + size, 0),
      isComplete: sizes.length === evictions.length,
    };
  }

  async #evictPartial(partial: Partial): Promise<number | undefined> {
    this.takePartial(partial.digest);
    const path = this.#layout.partial(partial.digest, partial.sizeBytes);
    if (await this.remove(partial.digest, path)) return partial.writtenBytes;
    this.addPartial(partial);
    return undefined;
  }

  async #evictBlob(entry: BlobEntry): Promise<number | undefined> {
    this.blobs.remove(entry);
    const removed = this.remove(entry.digest, this.#layout.blob(entry.digest));
    await this.#files.drop(entry); // its bytes leave the disk with its last descriptor
    if (await removed) return entry.sizeBytes;
    // Still there, still right: on a disk that has become read-only all of them are served as before.
    this.blobs.add(entry.digest, entry.sizeBytes, entry.lastUsedAt);
    return undefined;
  }

  /** Forget a blob and remove its file. False when it was forgotten before. */
  async removeBlob(entry: BlobEntry): Promise<boolean> {
    if (!this.blobs.remove(entry)) return false;
    void this.#files.drop(entry);
    // Where the disk refuses, it is forgotten all the same; its bytes count until the next start finds it again.
    if (!(await this.remove(entry.digest, this.#layout.blob(entry.digest)))) this.reservedBytes += entry.sizeBytes;
    return true;
  }

  async removePartial(partial: Partial): Promise<void> {
    if (!this.takePartial(partial.digest)) return;
    const path = this.#layout.partial(partial.digest, partial.sizeBytes);
    if (!(await this.remove(partial.digest, path))) this.reservedBytes += partial.writtenBytes;
  }

  /** Forget what is gone from the directory. */
  async forgetMissing(): Promise<void> {
    for (const { digest, sizeBytes } of [...this.#partials.values()]) {
      if (await isMissing(this.#layout.partial(digest, sizeBytes))) this.takePartial(digest);
    }
    for (const entry of [...this.blobs.entries.values()]) {
      if (entry.pins > 0 || !(await isMissing(this.#layout.blob(entry.digest)))) continue;
      this.blobs.remove(entry);
      void this.#files.drop(entry);
    }
  }

  /** Know of nothing any more: the directory is another's. */
  forgetAll(): void {
    for (const digest of [...this.#partials.keys()]) this.takePartial(digest);
    for (const entry of [...this.blobs.entries.values()]) this.blobs.remove(entry);
  }

  /** Remove a file of this blob when what is being done to its files is through; false when the disk refuses. */
  remove(digest: Digest, path: string): Promise<boolean> {
    const removing = this.jobs
      .run(digest, () => this.#unlinks.run(() => this.#unlink(path)))
      .finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
    return removing;
  }

  async #unlink(path: string): Promise<boolean> {
    try {
      await unlink(path);
    } catch (err: unknown) {
      if (errorCode(err) === "ENOENT") return true;
      this.#health.failed(err, "removing a file");
      return false;
    }
    return true;
  }
}

async function isMissing(path: string): Promise<boolean> {
  return access(path).then(
    () => false,
    (err: unknown) => errorCode(err) === "ENOENT",
  );
}

/** What is done to the files of one blob is done in turn: a late unlink must not hit what was written since. */
class FileJobs {
  readonly #last = new Map<Digest, Promise<void>>();

  /** Run `job` when everything before it, for this blob, has ended. */
  run<T>(digest: Digest, job: () => Promise<T>): Promise<T> {
    const running = (this.#last.get(digest) ?? Promise.resolve()).then(job);
    const onEnd = () => {
      if (this.#last.get(digest) === ended) this.#last.delete(digest);
    };
    const ended = running.then(onEnd, onEnd);
    this.#last.set(digest, ended);
    return running;
  }

  /** Resolves when nothing is to be done for this blob. */
  async idle(digest: Digest): Promise<void> {
    for (let last = this.#last.get(digest); last; last = this.#last.get(digest)) await last;
  }

  /** Resolves when nothing is to be done at all. */
  async allIdle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
