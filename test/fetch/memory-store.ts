/** A double at the port of the store: files in memory, faults on demand. */
import { createHash } from "node:crypto";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import type { BlobStorePort, BlobWriter, CachedBlob, Spool } from "#store/store-port.ts";

interface File {
  bytes: Buffer;
  writtenBytes: number;
}

export class MemoryStore implements BlobStorePort {
  readonly blobs = new Map<Digest, Buffer>();
  readonly partials = new Map<Digest, File>();
  readonly writing = new Set<Digest>();
  /** Files that were opened and not closed. */
  openFiles = 0;
  /** Sizes of the writes and reads so far. */
  readonly writes: number[] = [];
  readonly reads: number[] = [];
  /** Writes that failed for want of room. */
  refusedWrites = 0;
  /** `begin` says no. */
  isFull = false;
  /** Writing fails beyond this many bytes of a file. */
  roomBytes = Number.POSITIVE_INFINITY;
  /** Reading a file that is being written fails beyond this many bytes. */
  readableBytes = Number.POSITIVE_INFINITY;
  pieceBytes = 512 * 1024;

  async open(digest: Digest): Promise<CachedBlob | undefined> {
    const bytes = this.blobs.get(digest);
    if (!bytes) return undefined;
    this.openFiles += 1;
    const close = async () => {
      this.openFiles -= 1;
    };
    return { digest, sizeBytes: bytes.length, read: (start, end) => this.#pieces(bytes, start, end), close };
  }

  has(digest: Digest): boolean {
    return this.blobs.has(digest);
  }

  async begin(digest: Digest, sizeBytes: number): Promise<BlobWriter | undefined> {
    if (this.isFull || this.writing.has(digest)) return undefined;
    this.writing.add(digest);
    const left = this.partials.get(digest);
    const file = left?.bytes.length === sizeBytes ? left : { bytes: Buffer.alloc(sizeBytes), writtenBytes: 0 };
    this.partials.delete(digest);
    this.openFiles += 1;
    return this.#writer(digest, file);
  }

  /** Bytes in spools that are open. */
  spooledBytes = 0;

  async spool(): Promise<Spool | undefined> {
    if (this.isFull) return undefined;
    let [spooled, written] = [Buffer.alloc(1024 * 1024), 0];
    return {
      write: async (bytes) => {
        const at = written;
        written += bytes.length;
        while (spooled.length < written) spooled = Buffer.concat([spooled, Buffer.alloc(spooled.length)]);
        spooled.set(bytes, at);
        this.spooledBytes += bytes.length;
        return at;
      },
      read: (start = 0, end = written) => this.#pieces(spooled, start, end),
      close: () => {
        this.spooledBytes -= written;
        written = 0;
      },
    };
  }

  partial(digest: Digest): { sizeBytes: number; writtenBytes: number } | undefined {
    const file = this.partials.get(digest);
    return file && { sizeBytes: file.bytes.length, writtenBytes: file.writtenBytes };
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<boolean> {
    if (digestOfHash(createHash("sha256").update(bytes).digest()) !== digest) return false;
    this.blobs.set(digest, Buffer.from(bytes));
    return true;
  }

  async delete(digest: Digest): Promise<boolean> {
    this.partials.delete(digest);
    return this.blobs.delete(digest);
  }

  #writer(digest: Digest, file: File): BlobWriter {
    let isOpen = true;
    const mustBeOpen = () => {
      if (!isOpen) throw new Error("the file is closed");
    };
    return {
      digest,
      sizeBytes: file.bytes.length,
      get writtenBytes() {
        return file.writtenBytes;
      },
      write: async (bytes) => {
        await new Promise(setImmediate); // as a disk, which is not there at once
        mustBeOpen();
        if (file.writtenBytes + bytes.length > this.roomBytes) {
          this.refusedWrites += 1;
          throw new Error("no space left on device");
        }
        file.bytes.set(bytes, file.writtenBytes);
        file.writtenBytes += bytes.length;
        this.writes.push(bytes.length);
      },
      read: (start, end) => {
        mustBeOpen();
        if (end > file.writtenBytes) throw new Error(`${end} of ${file.writtenBytes} bytes`);
        return this.#pieces(file.bytes, start, end, this.readableBytes, mustBeOpen);
      },
      commit: async () => {
        mustBeOpen();
        if (file.writtenBytes !== file.bytes.length) throw new Error("not all is written");
        this.blobs.set(digest, file.bytes);
      },
      close: async (keep) => {
        mustBeOpen();
        isOpen = false;
        this.openFiles -= 1;
        this.writing.delete(digest);
        if (keep && !this.blobs.has(digest)) this.partials.set(digest, file);
      },
    };
  }

  async *#pieces(
    bytes: Buffer,
    start: number,
    end: number,
    readableBytes = Number.POSITIVE_INFINITY,
    check = () => {},
  ): AsyncGenerator<Uint8Array> {
    const piece = Buffer.alloc(this.pieceBytes); // one buffer for all, as the port allows
    for (let at = start; at < end; at += piece.length) {
      await new Promise(setImmediate);
      check();
      if (at >= readableBytes) throw new Error("input/output error");
      const length = bytes.copy(piece, 0, at, Math.min(end, at + piece.length));
      this.reads.push(length);
      yield piece.subarray(0, length);
    }
  }
}
