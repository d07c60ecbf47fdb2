/**
 * From what the index knows of a blob to its open file, which may have changed or vanished since.
 */

import { errorCode } from "#base/errors.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobEntry, OpenFiles } from "./blob-index.ts";
import type { DiskHealth } from "./disk-health.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { ImageLayout } from "./image-layout.ts";
import { type OpenFile, readPieces } from "./open-file.ts";
import type { CachedBlob } from "./store-port.ts";
import type { VerifiableBlobs } from "./verify-blobs.ts";

/** What a reader needs of the rest of the store. */
export interface ReaderParts {
  readonly layout: ImageLayout;
  readonly space: DiskSpace;
  readonly files: OpenFiles;
  readonly health: DiskHealth;
}

/** Opens blobs; which of them were used is for the caller to note. */
export class BlobReader implements VerifiableBlobs {
  readonly #parts: ReaderParts;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  digests(): Digest[] {
    return Array.from(this.#parts.space.blobs.entries.values(), ({ digest }) => digest);
  }

  /** Open a blob; one that vanished, or has another size than was written, is forgotten. */
  async inspect(digest: Digest): Promise<StoredBlob | undefined> {
    const { blobs } = this.#parts.space;
    const entry = blobs.entries.get(digest);
    if (!entry) return undefined;
    // Before the first await: it is not evicted while it is being opened.
    blobs.pin(entry);
    const file = await this.#open(entry);
    if (file) return new StoredBlob(entry, file, () => blobs.unpin(entry));
    blobs.unpin(entry);
    return undefined;
  }

  async condemn(digest: Digest, reason: Error): Promise<void> {
    const { space, files, health } = this.#parts;
    const entry = space.blobs.entries.get(digest);
    if (!entry) return;
    health.unreadable(reason, { digest });
    files.poison(entry, reason);
    await space.removeBlob(entry);
  }

  async #open(entry: BlobEntry): Promise<OpenFile | undefined> {
    const { layout, space, files, health } = this.#parts;
    try {
      // One that is being synced has not got its name yet; mostly its file is open still.
      if (!files.has(entry)) await space.jobs.idle(entry.digest);
      const file = await files.open(entry, layout.blob(entry.digest));
      if (file && space.blobs.entries.get(entry.digest) === entry) return file;
      await files.drop(entry); // deleted meanwhile: no one comes to close what the cache has just opened
      await file?.release();
      await space.removeBlob(entry);
    } catch (err: unknown) {
      if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errorCode(err) ?? "")) await space.removeBlob(entry);
      else health.unreadable(err, { digest: entry.digest });
    }
    return undefined;
  }
}

/** A blob that a reader has open. */
export class StoredBlob implements CachedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly #file: OpenFile;
  readonly #onClose: () => void;
  #isClosed = false;

  constructor(blob: { readonly digest: Digest; readonly sizeBytes: number }, file: OpenFile, onClose: () => void) {
    this.digest = blob.digest;
    this.sizeBytes = blob.sizeBytes;
    this.#file = file;
    this.#onClose = onClose;
  }

  read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < 0 || end > this.sizeBytes) {
      throw new RangeError(`bytes ${start} to ${end} of ${this.digest} are asked, which has ${this.sizeBytes}`);
    }
    return readPieces(this.#file, start, end, () => {
      if (this.#isClosed) throw new Error(`${this.digest} is closed`);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.release();
    this.#onClose();
  }
}
