/**
 * The files of the blobs used last stay open: for small blobs opening and closing costs more than reading.
 */
import type { BlobEntry } from "./blob-index.ts";
import { OpenFile } from "./open-file.ts";

/** At most this many descriptors beyond those that readers hold. */
const keptOpen = 128;

export class OpenFiles {
  readonly #files = new Map<BlobEntry, OpenFile>();
  #isClosed = false;

  /**
   * The blob's file, to be released by the caller.
   *
   * @returns undefined when it vanished, or is not what was written.
   * @throws Error of the operating system when it cannot be opened now.
   */
  async open(entry: BlobEntry, path: string): Promise<OpenFile | undefined> {
    const known = this.#files.get(entry);
    if (known) return this.#checked(entry, known.retain());
    const file = await OpenFile.openForReading(path);
    if (!this.#files.has(entry)) this.keep(entry, file);
    return this.#checked(entry, file);
  }

  has(entry: BlobEntry): boolean {
    return this.#files.has(entry);
  }

  /** Keep this file open as the blob's, beside those that use it now. */
  keep(entry: BlobEntry, file: OpenFile): void {
    if (this.#isClosed) return;
    this.#files.set(entry, file.retain());
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= keptOpen) return;
      void this.drop(oldest);
    }
  }

  /** The blob is gone: its bytes leave the disk when its last reader has ended. */
  async drop(entry: BlobEntry): Promise<void> {
    const file = this.#files.get(entry);
    this.#files.delete(entry);
    await file?.release();
  }

  /** The blob is wrong: those that read it now get no further byte. */
  poison(entry: BlobEntry, reason: Error): void {
    this.#files.get(entry)?.poison(reason);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map((file) => file.release()));
  }

  async #checked(entry: BlobEntry, file: OpenFile): Promise<OpenFile | undefined> {
    if (file.isIntact(entry.sizeBytes)) {
      this.#used(entry);
      return file;
    }
    await this.drop(entry);
    await file.release();
    return undefined;
  }

  #used(entry: BlobEntry): void {
    const file = this.#files.get(entry);
    if (!file) return;
    this.#files.delete(entry);
    this.#files.set(entry, file);
  }
}
