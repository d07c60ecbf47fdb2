/**
 * From a layer as registries have it to its tar, which is what deltas are made of: a store has layers packed, and in them no
 * position can be read without all before it. So the tar is written to a file first, within the budget of its owner.
 */
import { createHash } from "node:crypto";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import type { TarId } from "./format/delta-file.ts";
import { endingWithFrames } from "./zstd-frames.ts";

/**
 * Unpack gzip (also of several members) and zstd, by their first bytes; anything else is taken for a tar.
 *
 * @param layer - Whose digest is checked elsewhere.
 * @param maxBytes - How large the tar may be: a layer may unpack to a thousand times its size.
 * @param write - Takes the next bytes, which are valid until it resolves.
 * @returns What the tar is, for `DeltaThread`.
 * @throws Error when the layer is damaged, or its tar larger; what `layer` and `write` throw; the signal's reason.
 */
export async function unpackLayer(
  layer: AsyncIterable<Uint8Array>,
  maxBytes: number,
  write: (bytes: Uint8Array) => Promise<unknown>,
  signal: AbortSignal,
): Promise<TarId> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const take = async (pieces: AsyncIterable<Uint8Array>) => {
    for await (const piece of pieces) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw new Error(`the tar of a layer has more than ${maxBytes} bytes`);
      hash.update(piece);
      await write(piece);
    }
  };
  const [first, all] = await peek(layer[Symbol.asyncIterator]());
  const unpacker = unpackerFor(first);
  const isZstd = first.subarray(0, 4).equals(zstdMagic);
  const packed = Readable.from(isZstd ? endingWithFrames(all) : all, { objectMode: false });
  try {
    if (unpacker) await pipeline(packed, unpacker, take, { signal });
    else await pipeline(packed, take, { signal });
  } catch (err: unknown) {
    signal.throwIfAborted(); // not the pipeline's own AbortError
    throw err;
  }
  return { sizeBytes, sha256: hash.digest("hex") };
}

const magicBytes = 4;

/** The first bytes, and all of them again. */
async function peek(pieces: AsyncIterator<Uint8Array>): Promise<[Buffer, AsyncIterable<Uint8Array>]> {
  const taken: Buffer[] = [];
  let [length, isEnded] = [0, false];
  while (length < magicBytes && !isEnded) {
    const next = await pieces.next();
    isEnded = next.done === true;
    if (next.done) break;
    taken.push(Buffer.from(next.value)); // a copy: its memory is the source's when the next one is asked for
    length += next.value.length;
  }
  const first = Buffer.concat(taken);
  return [first, restored(first, pieces)];
}

async function* restored(first: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    // Copies, too: a stream holds more than one piece.
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield Buffer.from(next.value);
  } finally {
    await rest.return?.();
  }
}

function unpackerFor(first: Buffer): Transform | undefined {
  if (first.subarray(0, 2).equals(gzipMagic)) return createGunzip();
  if (first.subarray(0, 4).equals(zstdMagic))
    return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 27 } });
  return undefined;
}

/** RFC 1952 § 2.3.1 and RFC 8878 § 3.1.1. */
const [gzipMagic, zstdMagic] = [Buffer.from("1f8b", "hex"), Buffer.from("28b52ffd", "hex")];
