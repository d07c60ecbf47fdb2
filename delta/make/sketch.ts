/**
 * Which file of the base is most like another one, whatever their names: files are compared by the smallest hashes among
 * those of their positions (min-wise hashing, Broder 1997). Equal parts of two files give equal shares of equal hashes.
 */

import type { Range } from "../format/ranges.ts";
import { piecesOf, type RandomReader } from "../random-reader.ts";
import { RollingHash } from "./rolling-hash.ts";

const hashesOfFile = 16;
/** Fewer may be a coincidence, such as a licence at the beginning of each source. */
const minCommon = 2;
const sampleLog = 5;
/** The beginning is enough to know a large file again. */
const maxBytes = 16 << 20;
/** Places in the table, 8 bytes each. */
const places = 1 << 20;
/** Places that are looked at for one hash: what is in more files than these tells none of them apart. */
const maxLooks = 32;

/** Files, as numbers, by their sketches; a hash table with open addressing. */
export class SketchIndex {
  readonly #hashes = new Uint32Array(places);
  /** Counted from 1; 0 is an empty place. */
  readonly #files = new Uint32Array(places);

  /** Add a file; what the table has no place for is left out. */
  add(sketch: Iterable<number>, file: number): void {
    for (const hash of sketch) {
      const place = this.#placesOf(hash).find((at) => this.#files[at] === 0);
      if (place === undefined) continue;
      this.#hashes[place] = hash;
      this.#files[place] = file + 1;
    }
  }

  /** The file that has most in common, if it is enough; the first of several. */
  mostLike(sketch: Iterable<number>): number | undefined {
    const counts = new Map<number, number>();
    for (const hash of sketch) {
      for (const at of this.#placesOf(hash)) {
        if (this.#files[at] === 0) break;
        if (this.#hashes[at] === hash) counts.set(this.#files[at]! - 1, (counts.get(this.#files[at]! - 1) ?? 0) + 1);
      }
    }
    let [best, most]: [number | undefined, number] = [undefined, minCommon - 1];
    for (const [file, count] of counts) if (count > most) [best, most] = [file, count];
    return best;
  }

  #placesOf(hash: number): number[] {
    return Array.from({ length: maxLooks }, (_, look) => (hash + look) % places);
  }
}

/** The smallest hashes of these bytes; fewer for less than about 500 bytes. */
export function sketchOf(reader: RandomReader, { start, end }: Range): Set<number> {
  const smallest = new Set<number>();
  let largest = Number.POSITIVE_INFINITY;
  const rolling = new RollingHash(sampleLog);
  for (const piece of piecesOf(reader, start, Math.min(end, start + maxBytes))) {
    rolling.add(piece, (hash) => {
      if (hash < largest && !smallest.has(hash)) largest = insert(smallest, hash);
    });
  }
  return smallest;
}

/** Returns what a further hash has to be below of. */
function insert(smallest: Set<number>, hash: number): number {
  smallest.add(hash);
  if (smallest.size > hashesOfFile) smallest.delete(Math.max(...smallest));
  return smallest.size < hashesOfFile ? Number.POSITIVE_INFINITY : Math.max(...smallest);
}
