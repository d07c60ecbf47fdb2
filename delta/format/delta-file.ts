/**
 * The frame of a delta (docs/delta-format.md): a header that says from what it leads to what, and blocks.
 */
import { crc32 } from "node:zlib";
import { type RandomReader, readBytes } from "../random-reader.ts";
import { maxBlockBytes } from "./caps.ts";
import { DeltaError } from "./delta-error.ts";

/** A tar's size and hash. */
export interface TarId {
  readonly sizeBytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

export interface DeltaHeader {
  readonly base: TarId;
  readonly target: TarId;
}

/** No text file, nothing that survives a conversion of line ends, and the version. */
const magic = Buffer.from("\x89NDND\r\n\x01", "latin1");
const tarIdBytes = 8 + 32;
const headerBytes = magic.length + 2 * tarIdBytes + 4;
const frameBytes = 8;

export function encodeHeader({ base, target }: DeltaHeader): Uint8Array {
  const bytes = Buffer.concat([magic, encodeTarId(base), encodeTarId(target), Buffer.alloc(4)]);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), headerBytes - 4);
  return bytes;
}

function encodeTarId({ sizeBytes, sha256 }: TarId): Uint8Array {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(sizeBytes));
  return Buffer.concat([size, Buffer.from(sha256, "hex")]);
}

/** A block with its length and checksum before it; no bytes are the end of the delta. */
export function encodeFrame(block: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(frameBytes);
  frame.writeUInt32LE(block.length, 0);
  frame.writeUInt32LE(crc32(block), 4);
  return Buffer.concat([frame, block]);
}

/** @throws DeltaError for what is no delta of this version. */
export function readHeader(delta: RandomReader): DeltaHeader {
  const bytes = readChecked(delta, 0, headerBytes);
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new DeltaError("this is no delta of version 1");
  if (crc32(bytes.subarray(0, -4)) !== bytes.readUInt32LE(headerBytes - 4))
    throw new DeltaError("the header is damaged");
  return { base: decodeTarId(bytes, magic.length), target: decodeTarId(bytes, magic.length + tarIdBytes) };
}

function decodeTarId(bytes: Buffer, at: number): TarId {
  const size = bytes.readBigUInt64LE(at);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new DeltaError(`a tar has ${size} bytes`);
  return { sizeBytes: Number(size), sha256: bytes.toString("hex", at + 8, at + tarIdBytes) };
}

/** The blocks in order, each complete and with the right checksum. @throws DeltaError for anything else. */
export function* readBlocks(delta: RandomReader): Generator<Uint8Array, void, undefined> {
  for (let at = headerBytes; ; ) {
    const frame = readChecked(delta, at, frameBytes);
    at += frameBytes;
    const length = frame.readUInt32LE(0);
    if (length > maxBlockBytes) throw new DeltaError(`a block has ${length} bytes`);
    const block = readChecked(delta, at, length);
    if (crc32(block) !== frame.readUInt32LE(4)) throw new DeltaError(`the block at byte ${at} is damaged`);
    at += length;
    if (length > 0) yield block;
    else if (at === delta.sizeBytes) return;
    else throw new DeltaError(`the delta ends at byte ${at}, and has ${delta.sizeBytes}`);
  }
}

function readChecked(delta: RandomReader, at: number, length: number): Buffer {
  if (at + length > delta.sizeBytes) throw new DeltaError(`the delta is cut off at byte ${delta.sizeBytes}`);
  const bytes = readBytes(delta, at, at + length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
