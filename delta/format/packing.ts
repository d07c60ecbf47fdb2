/**
 * Sections of a delta, packed by zstd where that makes them smaller; with bytes of the base as dictionary, so that what the
 * two have in common costs next to nothing.
 */
import { constants, type ZstdOptions, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { reasonOf } from "#base/errors.ts";
import { maxWindowLog } from "./caps.ts";
import { DeltaError } from "./delta-error.ts";

/**
 * Pack bytes; the result has as many bytes as `plain` only where it is `plain` itself.
 *
 * @param level - Of zstd, 1 to 22.
 * @param dictionary - From `dictionaryOf`; empty for none.
 */
export function pack(plain: Uint8Array, level: number, dictionary: Uint8Array = none): Uint8Array {
  if (plain.length === 0) return plain;
  const sizeLog = Math.ceil(Math.log2(plain.length + dictionary.length + 1024));
  const params: ZstdOptions["params"] = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_windowLog]: Math.min(sizeLog, maxWindowLog),
  };
  if (dictionary.length > 0) Object.assign(params, indexing(sizeLog));
  const packed = zstdCompressSync(plain, { params, ...using(dictionary) });
  return packed.length < plain.length ? packed : plain;
}

/**
 * What `pack` packed.
 *
 * @param plainBytes - How many it has to give.
 * @throws DeltaError when they are not what this gives.
 */
export function unpack(packed: Uint8Array, plainBytes: number, dictionary: Uint8Array = none): Uint8Array {
  if (packed.length === plainBytes) return packed;
  const params = { [constants.ZSTD_d_windowLogMax]: maxWindowLog };
  try {
    const plain = zstdDecompressSync(packed, { params, maxOutputLength: plainBytes, ...using(dictionary) });
    if (plain.length === plainBytes) return plain;
  } catch (err: unknown) {
    throw new DeltaError(`a section cannot be unpacked: ${reasonOf(err)}`, { cause: err });
  }
  throw new DeltaError(`a section has fewer bytes than the ${plainBytes} it names`);
}

const none = new Uint8Array();

/**
 * Without these, only about the last megabyte of a dictionary is indexed. 23 and 24 instead of 22 cost 50 and 140 MB more of
 * memory, for deltas that are 0.3 and 0.5 % smaller.
 */
function indexing(sizeLog: number): ZstdOptions["params"] {
  const log = Math.min(sizeLog, 22);
  return { [constants.ZSTD_c_hashLog]: log, [constants.ZSTD_c_chainLog]: log };
}

function using(dictionary: Uint8Array): Pick<ZstdOptions, "dictionary"> {
  return dictionary.length > 0 ? { dictionary } : {};
}
