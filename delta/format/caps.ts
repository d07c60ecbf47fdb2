/**
 * What a delta may ask of the one that applies it (docs/delta-format.md § Caps): they bound its memory to about 250 MB, and
 * its time to a multiple of the tar's size, whoever made the delta. Those that make deltas stay within them.
 */

/** Of a block as it is in the delta. */
export const maxBlockBytes = 40 << 20;
/** Of a block's plan, unpacked. */
export const maxPlanBytes = 4 << 20;
/** Of everything else in a block together, unpacked. */
export const maxUnpackedBytes = 32 << 20;
/** Parts of a block. */
export const maxParts = 256;
/** Ranges that a block's dictionaries are made of, together. */
export const maxRanges = 1 << 16;
/** Of one dictionary. */
export const maxDictionaryBytes = 16 << 20;
/** A zstd frame's window: a dictionary and what is packed with it. */
export const maxWindowLog = 26;

/** Of all dictionaries together: each costs time, however little is packed with it. */
export function maxAllDictionariesBytes(targetSizeBytes: number): number {
  return (64 << 20) + 4 * targetSizeBytes;
}
