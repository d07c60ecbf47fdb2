/**
 * Blobs that a registry has without an upload, put into its storage as distribution's filesystem driver lays them out.
 */
import { createHash, randomUUID } from "node:crypto";
import { closeSync, createReadStream, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { open, rm, truncate } from "node:fs/promises";
import { dirname, join } from "node:path";
import { seededPieces } from "../large-blob.ts";
import { repository } from "../rig.ts";

/** A blob of which nobody has asked for a byte. */
export interface LaidBlob {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Path of its bytes. */
  readonly file: string;
}

/**
 * `solid` has random bytes, `thin` only every sixteenth page: it needs as little memory on a RAM disk, and a piece of it
 * in a wrong place is still noticed.
 */
export type Texture = "solid" | "thin";

/** Put so many blobs into a registry's storage. */
export async function layBlobs(
  storage: string,
  count: number,
  sizeBytes: number,
  texture: Texture = "solid",
): Promise<LaidBlob[]> {
  const blobs: LaidBlob[] = [];
  while (blobs.length < count) blobs.push(await layBlob(storage, sizeBytes, texture));
  return blobs;
}

/** Free their space. */
export async function removeBlobs(blobs: readonly LaidBlob[]): Promise<void> {
  for (const { file } of blobs) await rm(file);
}

/** Hexadecimal sha256 of a blob's first bytes. */
export async function hashOfStart({ file }: LaidBlob, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  if (bytes === 0) return hash.digest("hex");
  for await (const piece of createReadStream(file, { end: bytes - 1, highWaterMark: 1 << 20 }))
    hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Bytes `[start, end)` of a blob. */
export async function bytesAt({ file }: LaidBlob, start: number, end: number): Promise<Buffer> {
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - start), 0, end - start, start);
  return buffer.subarray(0, bytesRead);
}

async function layBlob(storage: string, sizeBytes: number, texture: Texture): Promise<LaidBlob> {
  const root = join(storage, "docker/registry/v2");
  const written = join(root, randomUUID());
  mkdirSync(root, { recursive: true });
  const hex = write(written, sizeBytes, texture);
  await truncate(written, sizeBytes); // a hole at its end
  const file = join(root, "blobs/sha256", hex.slice(0, 2), hex, "data");
  const link = join(root, "repositories", repository, "_layers/sha256", hex, "link");
  for (const path of [file, link]) mkdirSync(dirname(path), { recursive: true });
  renameSync(written, file);
  writeFileSync(link, `sha256:${hex}`);
  return { digest: `sha256:${hex}`, sizeBytes, file };
}

/** Write the bytes and resolve with their hash; all at once, since nothing is measured meanwhile. */
function write(path: string, sizeBytes: number, texture: Texture): string {
  const hash = createHash("sha256");
  const output = openSync(path, "wx");
  let at = 0;
  for (const piece of piecesOf(sizeBytes, texture)) {
    hash.update(piece.bytes);
    writeSync(output, piece.bytes, 0, piece.solidBytes, at);
    at += piece.bytes.length;
  }
  closeSync(output);
  return hash.digest("hex");
}

const pageBytes = 4096;
const thinBytes = 16 * pageBytes;

/** Bytes, of which those behind `solidBytes` are zeros. */
function* piecesOf(sizeBytes: number, texture: Texture): Generator<{ bytes: Buffer; solidBytes: number }> {
  const seed = randomUUID();
  if (texture === "solid") {
    for (const bytes of seededPieces(seed, sizeBytes)) yield { bytes, solidBytes: bytes.length };
    return;
  }
  const pages = Math.ceil(sizeBytes / thinBytes);
  let left = sizeBytes;
  for (const piece of seededPieces(seed, pages * pageBytes)) {
    for (let at = 0; at < piece.length; at += pageBytes) {
      const bytes = Buffer.alloc(Math.min(thinBytes, left));
      const solidBytes = piece.copy(bytes, 0, at, Math.min(at + pageBytes, at + left));
      yield { bytes, solidBytes };
      left -= bytes.length;
    }
  }
}
