/**
 * From the first byte of a blob to its place among the others.
 *
 * A committed blob is visible at once in this process, read from the file that its writer has open. On the disk it
 * gets its name only when its bytes have been synced, behind the response's back: a file among the blobs is whole
 * after a power cut, too. Killed in between, it is a partial that lacks no byte.
 */
import { rename, unlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "#base/errors.ts";
import { Semaphore } from "#base/semaphore.ts";
import type { Digest } from "#oci/digest.ts";
import type { BlobEntry } from "./blob-index.ts";
import type { DiskHealth } from "./disk-health.ts";
import type { DiskSpace, Partial } from "./disk-space.ts";
import type { ImageLayout } from "./image-layout.ts";
import { OpenFile } from "./open-file.ts";
import type { OpenFiles } from "./open-files.ts";
import { PartialFile, type WriterHost } from "./partial-file.ts";

/** What writers need of the rest of the store. */
export interface WriterParts {
  readonly layout: ImageLayout;
  readonly space: DiskSpace;
  readonly files: OpenFiles;
  readonly health: DiskHealth;
  /** Make the directories again that are gone. */
  restore(): Promise<void>;
}

/** A blob that is being written; its whole size is reserved until it is committed or closed. */
interface Writing {
  readonly sizeBytes: number;
  /** Deleted meanwhile: its readers may go on, but no one else ever sees it. */
  isForgotten: boolean;
  /** Set by commit. */
  entry: BlobEntry | undefined;
}

// A sync takes a thread of four, and on a hard disk a while.
const syncsAtOnce = 2;
// A puller may be waiting: better not to store one blob than to let it wait for a slow disk.
const maxSyncWaitMs = 500;
// Each one holds a descriptor.
const unsyncedAtMost = 100;

export class Writers implements WriterHost {
  readonly #parts: WriterParts;
  readonly #running = new Map<Digest, Writing>();
  /** Those that are not closed yet, committed ones included. */
  readonly #open = new Map<PartialFile, Writing>();
  readonly #syncs = new Semaphore(syncsAtOnce);
  readonly #unsynced = new Set<Promise<void>>();
  #isClosed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /**
   * Begin to write, or continue what broke off.
   *
   * @param isFresh - Take nothing of what broke off.
   */
  async begin(digest: Digest, sizeBytes: number, isFresh = false): Promise<PartialFile | undefined> {
    const { space, health } = this.#parts;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > space.maxBytes) return undefined;
    const isBusy = () => this.#running.has(digest) || space.blobs.get(digest) !== undefined;
    if (isBusy()) return undefined;
    await space.jobs.idle(digest);
    if (!space.couldHold(sizeBytes)) {
      // What is being synced cannot be evicted yet, and a small budget may consist of little else.
      await Promise.race([this.settled(), delay(maxSyncWaitMs, undefined, { ref: false })]);
      await space.jobs.idle(digest);
    }
    if (this.#isClosed || health.isPaused || isBusy() || !space.couldHold(sizeBytes)) return undefined;
    const writing: Writing = { sizeBytes, isForgotten: false, entry: undefined };
    this.#running.set(digest, writing);
    const left = space.partial(digest);
    const resumed = isFresh || left?.sizeBytes !== sizeBytes ? undefined : space.takePartial(digest);
    space.reserve(sizeBytes);
    try {
      if (left && !resumed) await space.removePartial(left);
      const { isComplete } = await space.shrinkTo(space.maxBytes);
      const writer = isComplete ? await this.#openWriter(digest, writing, resumed === undefined) : undefined;
      if (writer) return writer;
    } catch (err: unknown) {
      this.#refused(err, "beginning to write a blob", sizeBytes);
    }
    this.#giveUp(digest, writing, resumed);
    return undefined;
  }

  /** No one shall see what is being written of this blob. False when nothing is. */
  async forget(digest: Digest): Promise<boolean> {
    const writing = this.#running.get(digest);
    if (!writing) return false;
    writing.isForgotten = true;
    this.#running.delete(digest);
    await this.#parts.space.remove(digest, this.#parts.layout.partial(digest, writing.sizeBytes));
    return true;
  }

  /** Resolves when everything that has been committed until now is on the disk under its name. */
  async settled(): Promise<void> {
    await Promise.all(this.#unsynced);
  }

  /** Let nothing be written any more, and wait until what was committed is safe. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(Array.from(this.#open.keys(), (writer) => writer.atRest()));
    await this.settled();
  }

  check(): void {
    if (this.#isClosed) throw new Error("the store is closed");
  }

  failed(err: unknown, writer: PartialFile): void {
    this.#refused(err, "writing a blob", writer.sizeBytes);
  }

  async commit(writer: PartialFile): Promise<void> {
    const { space, files } = this.#parts;
    const { digest, sizeBytes, file } = writer;
    const writing = this.#open.get(writer)!;
    if (writing.isForgotten) return;
    const entry = space.blobs.add(digest, sizeBytes, Date.now());
    writing.entry = entry;
    space.release(sizeBytes);
    space.blobs.pin(entry); // until the writer is closed
    this.#running.delete(digest);
    files.keep(entry, file);
    const settling = this.#settle(entry, file).finally(() => this.#unsynced.delete(settling));
    this.#unsynced.add(settling);
    if (this.#unsynced.size > unsyncedAtMost) await Promise.race(this.#unsynced);
  }

  async closed(writer: PartialFile, keep: boolean): Promise<void> {
    const { layout, space } = this.#parts;
    const { digest, sizeBytes, writtenBytes, isBroken } = writer;
    const writing = this.#open.get(writer)!;
    this.#open.delete(writer);
    await writer.file.release();
    if (writing.entry) return space.blobs.unpin(writing.entry);
    if (this.#isClosed) return; // the directory may be another process's by now, which finds the file and continues it
    if (keep && writtenBytes > 0 && !isBroken)
      return this.#giveUp(digest, writing, { digest, sizeBytes, writtenBytes });
    // Where the disk refuses to remove it, its bytes go on to count.
    if (!writing.isForgotten && !(await space.remove(digest, layout.partial(digest, sizeBytes))))
      space.reserve(sizeBytes);
    this.#giveUp(digest, writing, undefined);
  }

  /** Open the file, unless the blob is forgotten before; in turn with everything else that is done to it. */
  async #openWriter(digest: Digest, writing: Writing, isFresh: boolean): Promise<PartialFile | undefined> {
    const { layout, space } = this.#parts;
    const { sizeBytes } = writing;
    const isVain = () => writing.isForgotten || this.#isClosed;
    if (isVain()) return undefined;
    const path = layout.partial(digest, sizeBytes);
    const file = await space.jobs.run(digest, () => this.#openFile(path, isFresh));
    // A file that was cut meanwhile is continued from there; the one that resumes hashes what is there anyway.
    const { size } = await file.stat();
    if (!isVain() && size <= sizeBytes) {
      const writer = new PartialFile({ digest, sizeBytes, writtenBytes: size }, file, this);
      this.#open.set(writer, writing);
      return writer;
    }
    await file.release();
    return isVain() ? undefined : this.#openWriter(digest, writing, true);
  }

  async #openFile(path: string, isFresh: boolean): Promise<OpenFile> {
    try {
      return await OpenFile.openForWriting(path, isFresh);
    } catch (err: unknown) {
      if (errorCode(err) !== "ENOENT") throw err;
      await this.#parts.restore();
      return OpenFile.openForWriting(path, isFresh);
    }
  }

  async #rename(from: string, to: string): Promise<void> {
    try {
      await rename(from, to);
    } catch (err: unknown) {
      if (errorCode(err) !== "ENOENT") throw err;
      await this.#parts.restore();
      await rename(from, to);
    }
  }

  /** The disk refused to take these bytes, or some of them. */
  #refused(err: unknown, doing: string, sizeBytes: number): void {
    const { health, space } = this.#parts;
    health.failed(err, doing);
    // The disk is smaller than the budget, or others fill it: the oldest blobs go, or this one would never fit.
    if (!["ENOSPC", "EDQUOT"].includes(errorCode(err) ?? "")) return;
    void space.shrinkTo(Math.max(0, space.usedBytes - sizeBytes));
  }

  #giveUp(digest: Digest, writing: Writing, left: Partial | undefined): void {
    const { space } = this.#parts;
    if (!writing.isForgotten && left) space.addPartial(left);
    if (this.#running.get(digest) === writing) this.#running.delete(digest);
    space.release(writing.sizeBytes);
  }

  /** Bring a committed blob's bytes to the disk and give it its name there. */
  async #settle(entry: BlobEntry, file: OpenFile): Promise<void> {
    const { space, files } = this.#parts;
    file.retain();
    space.blobs.pin(entry);
    // Forgotten within the job: what begins the same blob afresh waits for its end.
    await space.jobs.run(entry.digest, () =>
      this.#syncs.run(async () => {
        if (await this.#syncAndRename(entry, file)) return;
        space.blobs.remove(entry);
        await files.drop(entry);
      }),
    );
    space.blobs.unpin(entry);
    await file.release();
  }

  async #syncAndRename({ digest, sizeBytes }: BlobEntry, file: OpenFile): Promise<boolean> {
    const { layout } = this.#parts;
    const path = layout.partial(digest, sizeBytes);
    try {
      await file.sync().catch((err: Error) => {
        file.poison(err); // the kernel has dropped what it could not write: a read would bring what was there before
        throw err;
      });
      // The directory is not synced: without the new name the file is found again as a partial.
      await this.#rename(path, layout.blob(digest));
      return true;
    } catch (err: unknown) {
      this.#refused(err, "syncing a blob", sizeBytes);
      await unlink(path).catch(() => {});
      return false;
    }
  }
}
