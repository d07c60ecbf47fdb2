/**
 * A range of a file in pieces, the next of which is read while the reader works on this one: 1.7 times as fast to a
 * local socket as one after the other. The two buffers are taken from a few that are kept: fresh ones cost page faults.
 */
import { BufferPool } from "#base/buffer-pool.ts";
import type { OpenFile } from "./open-file.ts";

/** Size of a piece; the last one may be shorter. */
export const pieceBytes = 256 * 1024;

/**
 * Bytes `[start, end)` in order. A piece is valid until the next one is asked for.
 *
 * @param check - Asked before each piece; throws when there is to be no further one.
 * @throws Error when the file cannot be read or ends before `end`.
 */
export async function* readPieces(
  file: OpenFile,
  start: number,
  end: number,
  check: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (end - start <= pieceBytes) {
    if (end > start) yield await readWhole(file, start, end, check);
    return;
  }
  const buffers: [Buffer, Buffer] = [pool.take(), pool.take()];
  let ahead: Promise<Uint8Array> | undefined;
  try {
    for (let position = start, turn = 0; position < end; position += pieceBytes, turn ^= 1) {
      check();
      const piece = await (ahead ?? fill(file, buffers[turn as 0 | 1], position, end));
      const next = position + pieceBytes;
      ahead = next < end ? fill(file, buffers[(turn ^ 1) as 0 | 1], next, end) : undefined;
      ahead?.catch(() => {}); // heard when it is this piece's turn
      yield piece;
    }
    // Only here, where the reader is done with all of them: one that leaves early may have a piece on its way to a socket.
    for (const buffer of buffers) pool.give(buffer);
  } finally {
    await ahead?.catch(() => {}); // so that whoever has left the loop knows that the file is at rest
  }
}

async function readWhole(file: OpenFile, start: number, end: number, check: () => void): Promise<Uint8Array> {
  check();
  const bytes = Buffer.allocUnsafe(end - start);
  await file.fill(bytes, start);
  return bytes;
}

async function fill(file: OpenFile, buffer: Buffer, position: number, end: number): Promise<Uint8Array> {
  const piece = buffer.subarray(0, Math.min(pieceBytes, end - position));
  await file.fill(piece, position);
  return piece;
}

const pool = new BufferPool(pieceBytes, 16);
