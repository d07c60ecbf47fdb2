/**
 * Which bytes of a large file of the base a piece of a new one is made from. Bytes that moved are found wherever they are: the
 * file is divided into cells, and those are taken in which most hashes of the piece occur.
 */
import { maxDictionaryBytes } from "../format/caps.ts";
import type { Range } from "../format/ranges.ts";
import { piecesOf, type RandomReader } from "../random-reader.ts";
import { RollingHash } from "./rolling-hash.ts";

const cellBytes = 256 * 1024;
const maxCells = maxDictionaryBytes / cellBytes;
const sampleLog = 8;
const maxTableLog = 23;

/** Where in a range of the base hashes occur; 4 bytes for each 128 of it, up to 32 MiB. */
export class SimilarRanges {
  readonly #file: Range;
  /** Per hash the last cell in which it occurs, counted from 1; what is lost to collisions does not change the choice. */
  readonly #cellOf: Uint32Array;

  constructor(base: RandomReader, file: Range) {
    this.#file = file;
    const sizeLog = Math.ceil(Math.log2(file.end - file.start + 1));
    this.#cellOf = new Uint32Array(1 << Math.min(maxTableLog, Math.max(8, sizeLog - sampleLog + 1)));
    const rolling = new RollingHash(sampleLog);
    for (const piece of piecesOf(base, file.start, file.end)) {
      rolling.add(piece, (hash, position) => {
        this.#cellOf[hash & (this.#cellOf.length - 1)] = 1 + Math.floor(position / cellBytes);
      });
    }
  }

  /**
   * Ranges of the file, in order, as many bytes as a dictionary may have.
   *
   * @param place - Where in the new file the piece begins, as a share of it: what resembles nothing is compared with the same
   *   place.
   */
  rangesFor(piece: Uint8Array, place: number): Range[] {
    const { start, end } = this.#file;
    const counts = this.#countsOf(piece);
    counts[Math.min(counts.length - 1, Math.floor(place * counts.length))]! += 1;
    const chosen = withNeighbours(mostCounted(counts), counts.length);
    return joined(chosen.map((cell) => ({ start: start + cell * cellBytes, end: start + (cell + 1) * cellBytes }))).map(
      (range) => ({ start: range.start, end: Math.min(range.end, end) }),
    );
  }

  /** Per cell, how many hashes of the piece occur in it. */
  #countsOf(piece: Uint8Array): Uint32Array {
    const counts = new Uint32Array(Math.ceil((this.#file.end - this.#file.start) / cellBytes));
    let last = -1;
    new RollingHash(sampleLog).add(piece, (hash) => {
      const cell = this.#cellOf[hash & (this.#cellOf.length - 1)]!;
      if (cell > 0 && hash !== last) counts[cell - 1]! += 1; // a long run of one byte is counted once
      last = hash;
    });
    return counts;
  }
}

/** The cells that have any, those with most first. */
function mostCounted(counts: Uint32Array): number[] {
  return [...counts.keys()]
    .filter((cell) => counts[cell]! > 0)
    .sort((a, b) => counts[b]! - counts[a]! || a - b)
    .slice(0, maxCells);
}

/** As there is room, also those around them, in order. */
function withNeighbours(cells: readonly number[], count: number): number[] {
  const chosen = new Set(cells);
  for (let distance = 1; distance <= maxCells && chosen.size < maxCells; distance++) {
    for (const cell of cells.flatMap((near) => [near - distance, near + distance])) {
      if (cell >= 0 && cell < count && chosen.size < maxCells) chosen.add(cell);
    }
  }
  return [...chosen].sort((a, b) => a - b);
}

/** Ranges that touch are one. */
function joined(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (last?.end === range.start) all[all.length - 1] = { start: last.start, end: range.end };
    else all.push(range);
  }
  return all;
}
