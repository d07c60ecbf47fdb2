/**
 * Bytes at any position: what deltas are made of. Synchronous, as it is read in a worker thread that does nothing else.
 */
import { fstatSync, readSync } from "node:fs";
import { BufferPool } from "#base/buffer-pool.ts";

export interface RandomReader {
  readonly sizeBytes: number;
  /**
   * Fill `bytes` with those from `start` on.
   * @throws RangeError when they are not within the whole.
   * @throws Error when they cannot be read.
   */
  fill(bytes: Uint8Array, start: number): void;
}

/** Bytes in memory. */
export function bytesReader(all: Uint8Array): RandomReader {
  return {
    sizeBytes: all.length,
    fill: (bytes, start) => {
      checkRange(start, start + bytes.length, all.length);
      bytes.set(all.subarray(start, start + bytes.length));
    },
  };
}

/** An open file of the size that it has now; the caller closes it. Files without a name serve as well. */
export function fileReader(fd: number): RandomReader {
  const sizeBytes = fstatSync(fd).size;
  return {
    sizeBytes,
    fill: (bytes, start) => {
      checkRange(start, start + bytes.length, sizeBytes);
      fillFrom(fd, bytes, start);
    },
  };
}

function checkRange(start: number, end: number, sizeBytes: number): void {
  if (start >= 0 && start <= end && end <= sizeBytes) return;
  throw new RangeError(`bytes ${start} to ${end} are asked of ${sizeBytes}`);
}

function fillFrom(fd: number, bytes: Uint8Array, start: number): void {
  for (let filled = 0; filled < bytes.length; ) {
    const got = readSync(fd, bytes, filled, bytes.length - filled, start + filled);
    if (got === 0) throw new Error(`the file ends at byte ${start + filled}, before byte ${start + bytes.length}`);
    filled += got;
  }
}

/** Bytes `[start, end)`, the caller's to keep and to change. @throws As `fill`. */
export function readBytes(reader: RandomReader, start: number, end: number): Uint8Array {
  checkRange(start, end, reader.sizeBytes); // before as much memory is taken
  const bytes = new Uint8Array(end - start);
  reader.fill(bytes, start);
  return bytes;
}

/** Used again: of fresh ones, garbage for each byte of a tar, hundreds of megabytes would lie about. */
const buffers = new BufferPool(1 << 20, 4);

/**
 * Bytes `[start, end)` in order, in pieces of up to a megabyte, which may be changed. A piece is valid until the next one is
 * asked for.
 */
export function* piecesOf(reader: RandomReader, start: number, end: number): Generator<Uint8Array, void, undefined> {
  const buffer = buffers.take();
  try {
    for (let at = start; at < end; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
      reader.fill(piece, at);
      yield piece;
    }
  } finally {
    buffers.give(buffer);
  }
}
