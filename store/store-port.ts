/**
 * What the rest of the endpoint needs of a store of blobs.
 */
import type { Digest } from "#oci/reference.ts";

/** A blob that is cached whole and was verified when it was written; it cannot be evicted while it is open. */
export interface CachedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /**
   * Bytes `[start, end)` in order, in pieces of up to 512 KiB. A piece is valid until the next one is asked for.
   * @throws Error when the file cannot be read.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** To be called once by the one that opened it. */
  close(): Promise<void>;
}

/** A blob that is being written; no one else sees it before `commit`. */
export interface BlobWriter {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Bytes `[0, writtenBytes)` are in the file, those that an earlier, broken-off fetch left included. */
  readonly writtenBytes: number;
  /** Append; the buffer may be used again when this resolves. @throws Error when the disk is full or broken. */
  write(bytes: Uint8Array): Promise<void>;
  /** Bytes `[start, end)` that have been written, as `CachedBlob.read`; also after `commit`, until `close`. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /**
   * Make the blob visible. The caller says that it has hashed every byte; the size is checked here.
   * Resolves once it is visible; it is synced to the disk afterwards.
   */
  commit(): Promise<void>;
  /** Close the file. Not committed, its bytes stay for a later `begin`, unless `keep` is false. */
  close(keep: boolean): Promise<void>;
}

/** Bytes in a file without a name, within the store's budget; a crash leaves nothing of them. */
export interface Spool {
  /** Append; resolves to where they begin in the spool. @throws Error when the budget or the disk has no more room. */
  write(bytes: Uint8Array): Promise<number>;
  /** Bytes `[start, end)` that have been written, by default all, as `CachedBlob.read`. */
  read(start?: number, end?: number): AsyncGenerator<Uint8Array>;
  /** At any time, and more than once. */
  close(): void;
}

/** Blobs on disk, within a budget. */
export interface BlobStorePort {
  /** The blob if it is cached whole; counts as a use. */
  open(digest: Digest): Promise<CachedBlob | undefined>;
  /** Whether it is cached whole, without counting as a use. */
  has(digest: Digest): boolean;
  /**
   * Begin to write a blob, or continue one that broke off.
   * @returns undefined when it cannot be stored now: too large for the budget, disk full or broken, already being written.
   */
  begin(digest: Digest, sizeBytes: number): Promise<BlobWriter | undefined>;
  /** What an earlier, broken-off fetch of this blob left: its whole size; undefined when nothing. */
  partial(digest: Digest): { readonly sizeBytes: number; readonly writtenBytes: number } | undefined;
  /** A file for bytes that are no blob yet; undefined when the disk refuses. The caller closes it. */
  spool(): Promise<Spool | undefined>;
  /** Store bytes that are all there, such as a manifest; checks the digest. False when it cannot be stored now. */
  put(digest: Digest, bytes: Uint8Array): Promise<boolean>;
  /** Forget the blob, and what is there of it; readers that have it open keep it. False when it was not cached. */
  delete(digest: Digest): Promise<boolean>;
}

/** A store that has nothing and takes nothing. */
export const noStore: BlobStorePort = {
  open: async () => undefined,
  has: () => false,
  begin: async () => undefined,
  partial: () => undefined,
  spool: async () => undefined,
  put: async () => false,
  delete: async () => false,
};

/** The store's directory cannot be used: for the one who starts the program. The message names the directory and what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}
