/**
 * Bytes at any position: what deltas are made of. Synchronous, as it is read in a worker thread that does nothing else.
 */
import { fstatSync, readSync } from "node:fs";

export interface RandomReader {
  readonly sizeBytes: number;
  /**
   * Bytes `[start, end)`, the caller's to keep and to change.
   * @throws RangeError when they are not within the whole.
   * @throws Error when they cannot be read.
   */
  read(start: number, end: number): Uint8Array;
}

/** Bytes in memory. */
export function bytesReader(bytes: Uint8Array): RandomReader {
  return {
    sizeBytes: bytes.length,
    read: (start, end) => {
      checkRange(start, end, bytes.length);
      return new Uint8Array(bytes.subarray(start, end)); // `slice` of a Buffer would be a view
    },
  };
}

/** An open file of the size that it has now; the caller closes it. Files without a name serve as well. */
export function fileReader(fd: number): RandomReader {
  const sizeBytes = fstatSync(fd).size;
  return {
    sizeBytes,
    read: (start, end) => {
      checkRange(start, end, sizeBytes);
      return readWhole(fd, start, end);
    },
  };
}

function checkRange(start: number, end: number, sizeBytes: number): void {
  if (start >= 0 && start <= end && end <= sizeBytes) return;
  throw new RangeError(`bytes ${start} to ${end} are asked of ${sizeBytes}`);
}

function readWhole(fd: number, start: number, end: number): Uint8Array {
  // Not of Node's shared pool: a small piece would keep 64 KiB of it alive.
  const bytes = new Uint8Array(end - start);
  for (let filled = 0; filled < bytes.length; ) {
    const got = readSync(fd, bytes, filled, bytes.length - filled, start + filled);
    if (got === 0) throw new Error(`the file ends at byte ${start + filled}, before byte ${end}`);
    filled += got;
  }
  return bytes;
}

const pieceBytes = 1 << 20;

/** Bytes `[start, end)` in order, in pieces of up to a megabyte. */
export function* piecesOf(reader: RandomReader, start: number, end: number): Generator<Uint8Array, void, undefined> {
  for (let at = start; at < end; at += pieceBytes) yield reader.read(at, Math.min(at + pieceBytes, end));
}
