/**
 * A blob on its way to the disk, from its first byte to its place among the others.
 *
 * A committed blob is visible at once in this process, read from the file that its writer has open. On the disk it
 * gets its name only when its bytes have been synced, behind the response's back: a file among the blobs is whole
 * after a power cut, too. Killed in between, it is a partial that lacks no byte.
 */
import { rename, unlink } from "node:fs/promises";
import { errorCode } from "#base/errors.ts";
import type { Semaphore } from "#base/limits.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobEntry, OpenFiles } from "./blob-index.ts";
import type { DiskHealth } from "./disk-health.ts";
import type { DiskSpace, Partial } from "./disk-space.ts";
import type { ImageLayout } from "./image-layout.ts";
import { OpenFile, readPieces } from "./open-file.ts";
import type { BlobWriter } from "./store-port.ts";

/** What writers need of the rest of the store. */
export interface WriterParts {
  readonly layout: ImageLayout;
  readonly space: DiskSpace;
  readonly files: OpenFiles;
  readonly health: DiskHealth;
  /** Make the directories again that are gone. */
  restore(): Promise<void>;
}

/** What the writers of one store share. */
export interface SharedByWriters extends WriterParts {
  /** The one that writes a blob, until it is committed, closed or forgotten. */
  readonly running: Map<Digest, PartialFile>;
  /** Those that have a file open, committed ones included. */
  readonly open: Set<PartialFile>;
  /** What is committed and not on the disk under its name yet. */
  readonly unsynced: Set<Promise<void>>;
  readonly syncs: Semaphore;
  /** Nothing may be written any more. */
  isClosed: boolean;
}

// Each one holds a descriptor.
const unsyncedAtMost = 100;

/** The writer of one file in `partial/`; the blob's whole size is reserved until it is committed or closed. */
export class PartialFile implements BlobWriter {
  readonly digest: Digest;
  readonly sizeBytes: number;
  writtenBytes = 0;
  readonly #shared: SharedByWriters;
  readonly #path: string;
  /** Set by `open`. */
  #file!: OpenFile;
  #phase: "writing" | "committed" | "closed" = "writing";
  /** Deleted meanwhile: its readers may continue, but no one else ever sees it. */
  #isForgotten = false;
  /** The disk has refused some of its bytes. */
  #failure: unknown;
  #writing: Promise<void> = Promise.resolve();
  /** Set by `commit`. */
  #entry: BlobEntry | undefined;

  constructor(shared: SharedByWriters, digest: Digest, sizeBytes: number) {
    this.#shared = shared;
    this.digest = digest;
    this.sizeBytes = sizeBytes;
    this.#path = shared.layout.partial(digest, sizeBytes);
  }

  /**
   * Open the file, in turn with everything else that is done to it; to be called once, before anything is written.
   *
   * @param isFresh - Take nothing of what is there.
   * @returns False when the blob is forgotten before, or the store closed.
   */
  async open(isFresh: boolean): Promise<boolean> {
    if (this.#isForgotten || this.#shared.isClosed) return false;
    const file = await this.#shared.space.jobs.run(this.digest, () =>
      this.#inDirectory(() => OpenFile.openForWriting(this.#path, isFresh)),
    );
    // A file that was cut meanwhile is continued from there; the one that resumes hashes what is there anyway.
    const size = file.sizeBytes;
    const isWanted = !this.#isForgotten && !this.#shared.isClosed;
    if (isWanted && size <= this.sizeBytes) {
      this.#file = file;
      this.writtenBytes = size;
      this.#shared.open.add(this);
      return true;
    }
    await file.release();
    return this.open(true);
  }

  /** Resolves when no write is under way. */
  async atRest(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkWriting();
    if (this.writtenBytes + bytes.length > this.sizeBytes) {
      throw new RangeError(
        `${this.digest} has ${this.sizeBytes} bytes: ${bytes.length} more after ${this.writtenBytes}`,
      );
    }
    try {
      this.#writing = this.#file.write(bytes, this.writtenBytes);
      await this.#writing;
    } catch (err: unknown) {
      this.#failure = err;
      this.refused(err, "writing a blob");
      throw err;
    }
    this.writtenBytes += bytes.length;
  }

  read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < 0 || end > this.writtenBytes) {
      throw new RangeError(`bytes ${start} to ${end} of ${this.digest} are asked, ${this.writtenBytes} are written`);
    }
    return readPieces(this.#file, start, end, () => {
      if (this.#phase === "closed") throw new Error(`the file of ${this.digest} is closed`);
    });
  }

  async commit(): Promise<void> {
    const { digest, sizeBytes } = this;
    const { space, files, running, unsynced } = this.#shared;
    this.#checkWriting();
    const size = this.#file.sizeBytes;
    if (size !== sizeBytes || this.writtenBytes !== sizeBytes) {
      throw new Error(`${digest} has ${sizeBytes} bytes, not ${Math.min(size, this.writtenBytes)}`);
    }
    this.#phase = "committed";
    if (this.#isForgotten) return;
    const entry = space.blobs.add(digest, sizeBytes, Date.now());
    this.#entry = entry;
    space.reservedBytes -= sizeBytes;
    space.blobs.pin(entry); // until the writer is closed
    running.delete(digest);
    files.keep(entry, this.#file);
    const settling = this.#settle(entry).finally(() => unsynced.delete(settling));
    unsynced.add(settling);
    if (unsynced.size > unsyncedAtMost) await Promise.race(unsynced);
  }

  async close(keep: boolean): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    const { digest, sizeBytes, writtenBytes } = this;
    const { space, open } = this.#shared;
    open.delete(this);
    await this.#file.release();
    if (this.#entry) return space.blobs.unpin(this.#entry);
    if (this.#shared.isClosed) return; // the directory may be another process's by now, which finds the file and continues it
    if (keep && writtenBytes > 0 && this.#failure === undefined)
      return this.giveUp({ digest, sizeBytes, writtenBytes });
    // Where the disk refuses to remove it, its bytes still count.
    if (!this.#isForgotten && !(await space.remove(digest, this.#path))) space.reservedBytes += sizeBytes;
    this.giveUp(undefined);
  }

  /** No one shall see what is being written of this blob. */
  async forget(): Promise<void> {
    this.#isForgotten = true;
    this.#shared.running.delete(this.digest);
    await this.#shared.space.remove(this.digest, this.#path);
  }

  /** The disk refused to take these bytes, or some of them. */
  refused(err: unknown, doing: string): void {
    const { health, space } = this.#shared;
    health.failed(err, doing);
    // The disk is smaller than the budget, or others fill it: the oldest blobs go, or this one would never fit.
    if (!["ENOSPC", "EDQUOT"].includes(errorCode(err) ?? "")) return;
    void space.shrinkTo(Math.max(0, space.usedBytes - this.sizeBytes));
  }

  /** It is not written any more. @param left - What there is of it, for a later writer. */
  giveUp(left: Partial | undefined): void {
    const { space, running } = this.#shared;
    if (!this.#isForgotten && left) space.addPartial(left);
    if (running.get(this.digest) === this) running.delete(this.digest);
    space.reservedBytes -= this.sizeBytes;
  }

  #checkWriting(): void {
    if (this.#phase !== "writing") throw new Error(`the writer of ${this.digest} is ${this.#phase}`);
    if (this.#failure) throw this.#failure;
    if (this.#shared.isClosed) throw new Error("the store is closed");
  }

  /** Bring the committed blob's bytes to the disk and give it its name there. */
  async #settle(entry: BlobEntry): Promise<void> {
    const { space, syncs } = this.#shared;
    this.#file.retain();
    space.blobs.pin(entry);
    // Forgotten within the job: what begins the same blob afresh waits for its end.
    await space.jobs.run(entry.digest, () => syncs.run(() => this.#syncAndRename(entry)));
    space.blobs.unpin(entry);
    await this.#file.release();
  }

  async #syncAndRename(entry: BlobEntry): Promise<void> {
    const { layout, space, files } = this.#shared;
    try {
      await this.#file.sync().catch((err: Error) => {
        this.#file.poison(err); // the kernel has dropped what it could not write: a read would bring what was there before
        throw err;
      });
      // The directory is not synced: without the new name the file is found again as a partial.
      await this.#inDirectory(() => rename(this.#path, layout.blob(entry.digest)));
    } catch (err: unknown) {
      this.refused(err, "syncing a blob");
      await unlink(this.#path).catch(() => {});
      space.blobs.remove(entry);
      await files.drop(entry);
    }
  }

  /** Once more when the directory has been cleared away. */
  async #inDirectory<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (err: unknown) {
      if (errorCode(err) !== "ENOENT") throw err;
      await this.#shared.restore();
      return work();
    }
  }
}
