/**
 * The blobs that are cached, least recently used first.
 */
import type { Digest } from "#oci/digest.ts";

/** What is known of one blob; kept small, for there may be hundreds of thousands. */
export interface BlobEntry {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since 1970 by the wall clock: for people, and for the order after a restart. */
  lastUsedAt: number;
  /** How many use it now: it is not evicted meanwhile, and its bytes count until they are done. */
  pins: number;
}

/** The order of use is that of the map, not of any clock. */
export class BlobIndex {
  readonly #entries = new Map<Digest, BlobEntry>();
  #bytes = 0;
  #pinnedBytes = 0;
  #lingeringBytes = 0;

  get count(): number {
    return this.#entries.size;
  }

  /** What all of them take on the disk, those included that are removed but still open. */
  get bytes(): number {
    return this.#bytes + this.#lingeringBytes;
  }

  /** What eviction could free now. */
  get idleBytes(): number {
    return this.#bytes - this.#pinnedBytes;
  }

  get(digest: Digest): BlobEntry | undefined {
    return this.#entries.get(digest);
  }

  /** Add as the most recently used one. */
  add(digest: Digest, sizeBytes: number, lastUsedAt: number): BlobEntry {
    const before = this.#entries.get(digest);
    if (before) this.remove(before);
    const entry = { digest, sizeBytes, lastUsedAt, pins: 0 };
    this.#entries.set(digest, entry);
    this.#bytes += sizeBytes;
    return entry;
  }

  touch(entry: BlobEntry): void {
    if (!this.#has(entry)) return;
    this.#entries.delete(entry.digest);
    this.#entries.set(entry.digest, entry);
  }

  pin(entry: BlobEntry): void {
    entry.pins += 1;
    if (entry.pins === 1 && this.#has(entry)) this.#pinnedBytes += entry.sizeBytes;
  }

  unpin(entry: BlobEntry): void {
    entry.pins -= 1;
    if (entry.pins > 0) return;
    if (this.#has(entry)) this.#pinnedBytes -= entry.sizeBytes;
    else this.#lingeringBytes -= entry.sizeBytes;
  }

  /** False when it was removed before. */
  remove(entry: BlobEntry): boolean {
    if (!this.#has(entry)) return false;
    this.#entries.delete(entry.digest);
    this.#bytes -= entry.sizeBytes;
    if (entry.pins > 0) {
      this.#pinnedBytes -= entry.sizeBytes;
      this.#lingeringBytes += entry.sizeBytes;
    }
    return true;
  }

  /** All of them, least recently used first. */
  all(): Iterable<BlobEntry> {
    return this.#entries.values();
  }

  #has(entry: BlobEntry): boolean {
    return this.#entries.get(entry.digest) === entry;
  }
}
