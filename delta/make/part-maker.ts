/**
 * A part of a block: contents, packed with bytes of the base as dictionary, or as differences from them, whichever is smaller.
 */
import type { Section } from "../format/block.ts";
import { encodeDifferences } from "../format/difference-coding.ts";
import { pack } from "../format/packing.ts";
import { dictionaryOf, fillWith, lengthOf, type Range } from "../format/ranges.ts";
import type { RandomReader } from "../random-reader.ts";
import { matchBytes } from "./byte-match.ts";
import { Scratch } from "./scratch.ts";
import { SeedIndex } from "./seed-index.ts";

export interface Part {
  readonly dictionary: readonly Range[];
  readonly contents: Section;
  readonly differences: Section;
  /** What makes its bytes, in order. */
  readonly operations: readonly PartOperation[];
}

type PartOperation =
  | { readonly kind: "content"; readonly length: number }
  | { readonly kind: "difference"; readonly start: number; readonly length: number };

/** With a dictionary, 6 to 12 give the same within 1 %, 19 costs ten times as much for 5 % less. */
const usualLevel = 9;
/** For what is left of programs, which is little: a quarter less than with the usual level. */
const thoroughLevel = 19;
/** More are a sign that there is nothing in common. */
const maxOperations = 1 << 15;
/** What one costs in the plan, about. */
const operationBytes = 5;

const nothing: Section = { plainBytes: 0, packed: new Uint8Array() };

/** Makes parts; its memory is used for one after the other. */
export class PartMaker {
  readonly #base: RandomReader;
  readonly #old = new Scratch();
  readonly #contents = new Scratch();
  readonly #differences = new Scratch();
  readonly #index = new SeedIndex();

  constructor(base: RandomReader) {
    this.#base = base;
  }

  /** The bytes with these ranges of the base, none included, as dictionary. */
  pack(ranges: readonly Range[], plain: Uint8Array): Part {
    const dictionary = dictionaryOf(this.#base, ranges, (length) => this.#old.take(length));
    const contents = section(plain, usualLevel, dictionary);
    return {
      dictionary: contents.packed.length === plain.length ? [] : ranges,
      contents,
      differences: nothing,
      operations: [{ kind: "content", length: plain.length }],
    };
  }

  /**
   * The bytes as differences from these ranges of the base; undefined when they have too little in common. For programs this
   * is mostly smaller than with a dictionary, for texts never.
   */
  differ(ranges: readonly Range[], plain: Uint8Array): Part | undefined {
    const old = fillWith(this.#old.take(lengthOf(ranges)), this.#base, ranges);
    const [contents, differences] = [this.#contents.take(plain.length), this.#differences.take(plain.length)];
    const operations: PartOperation[] = [];
    let [at, contentBytes, differenceBytes] = [0, 0, 0];
    for (const { oldStart, length, literals } of matchBytes(old, plain, this.#index)) {
      for (let index = 0; index < length; index++)
        differences[differenceBytes + index] = plain[at + index]! - old[oldStart + index]!;
      contents.set(plain.subarray(at + length, at + length + literals), contentBytes);
      at += length + literals;
      contentBytes += literals;
      differenceBytes += length;
      for (const { start, end } of within(ranges, oldStart, length))
        operations.push({ kind: "difference", start, length: end - start });
      if (literals > 0) operations.push({ kind: "content", length: literals });
      if (operations.length > maxOperations) return undefined;
    }
    return {
      dictionary: [],
      contents: section(contents.subarray(0, contentBytes), thoroughLevel),
      differences: section(encodeDifferences(differences.subarray(0, differenceBytes)), thoroughLevel),
      operations,
    };
  }
}

/** Of bytes whose memory is used again. */
function section(plain: Uint8Array, level: number, dictionary?: Uint8Array): Section {
  const packed = pack(plain, level, dictionary);
  return { plainBytes: plain.length, packed: packed === plain ? new Uint8Array(plain) : packed };
}

/** How many bytes it adds to a delta, about. */
export function sizeOf({ contents, differences, operations }: Part): number {
  return contents.packed.length + differences.packed.length + operationBytes * operations.length;
}

/** Where in the base `length` bytes are, `offset` bytes into the ranges one after the other. */
function* within(ranges: readonly Range[], offset: number, length: number): Generator<Range> {
  let before = 0;
  for (const range of ranges) {
    const rangeBytes = range.end - range.start;
    const start = range.start + Math.max(0, offset - before);
    const end = range.start + Math.min(rangeBytes, offset + length - before);
    if (start < end) yield { start, end };
    before += rangeBytes;
  }
}
