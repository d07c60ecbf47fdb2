/**
 * The blobs that are cached, least recently used first, and the files of those used last, which stay open.
 */
import type { Digest } from "#oci/reference.ts";
import { OpenFile } from "./open-file.ts";

/** What is known of one blob; kept small, for there may be hundreds of thousands. */
export interface BlobEntry {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since 1970 by the wall clock: for people, and for the order after a restart. */
  lastUsedAt: number;
  /** How many use it now: it is not evicted meanwhile, and its bytes count until they are done. */
  pins: number;
  /** Pinned by the operator: it is not evicted at all. */
  isKept: boolean;
}

/** The order of use is that of the map, not of any clock. */
export class BlobIndex {
  /** What all blobs take on the disk, those included that are removed but still open; counted here only. */
  bytes = 0;
  /** What eviction could free now; counted here only. */
  idleBytes = 0;
  readonly #entries = new Map<Digest, BlobEntry>();
  /** Least recently used first. */
  readonly entries: ReadonlyMap<Digest, BlobEntry> = this.#entries;
  readonly #kept: ReadonlySet<Digest>;

  /** @param kept - Looked at when a blob is added; see `recheckKept`. */
  constructor(kept: ReadonlySet<Digest> = new Set()) {
    this.#kept = kept;
  }

  /** Add as the most recently used one. */
  add(digest: Digest, sizeBytes: number, lastUsedAt: number): BlobEntry {
    const before = this.#entries.get(digest);
    if (before) this.remove(before);
    const entry = { digest, sizeBytes, lastUsedAt, pins: 0, isKept: this.#kept.has(digest) };
    this.#entries.set(digest, entry);
    this.bytes += sizeBytes;
    if (isIdle(entry)) this.idleBytes += sizeBytes;
    return entry;
  }

  touch(entry: BlobEntry): void {
    if (!this.#has(entry)) return;
    this.#entries.delete(entry.digest);
    this.#entries.set(entry.digest, entry);
  }

  pin(entry: BlobEntry): void {
    if (isIdle(entry) && this.#has(entry)) this.idleBytes -= entry.sizeBytes;
    entry.pins += 1;
  }

  unpin(entry: BlobEntry): void {
    entry.pins -= 1;
    if (entry.pins > 0) return;
    if (!this.#has(entry)) this.bytes -= entry.sizeBytes;
    else if (isIdle(entry)) this.idleBytes += entry.sizeBytes;
  }

  /** What is to be kept has changed. */
  recheckKept(): void {
    for (const entry of this.#entries.values()) {
      if (isIdle(entry)) this.idleBytes -= entry.sizeBytes;
      entry.isKept = this.#kept.has(entry.digest);
      if (isIdle(entry)) this.idleBytes += entry.sizeBytes;
    }
  }

  /** False when it was removed before. */
  remove(entry: BlobEntry): boolean {
    if (!this.#has(entry)) return false;
    this.#entries.delete(entry.digest);
    if (entry.pins > 0) return true; // its bytes count until the last one that uses it is done
    this.bytes -= entry.sizeBytes;
    if (isIdle(entry)) this.idleBytes -= entry.sizeBytes;
    return true;
  }

  #has(entry: BlobEntry): boolean {
    return this.#entries.get(entry.digest) === entry;
  }
}

/** Whether eviction may take it now. */
export function isIdle({ pins, isKept }: BlobEntry): boolean {
  return pins === 0 && !isKept;
}

/** At most this many descriptors beyond those that readers use. */
const keptOpen = 128;

/** For small blobs opening and closing costs more than reading. */
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
