/** Ranges of the base: `[start, end)`. */

import type { RandomReader } from "../random-reader.ts";
import { type ByteCursor, ByteWriter } from "./byte-coding.ts";
import { maxDictionaryBytes, maxRanges } from "./caps.ts";
import { DeltaError } from "./delta-error.ts";

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** How many bytes they have together. */
export function lengthOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Fill `bytes` with those of the ranges, one after the other. */
export function fillWith(bytes: Uint8Array, base: RandomReader, ranges: readonly Range[]): Uint8Array {
  let at = 0;
  for (const { start, end } of ranges) {
    base.fill(bytes.subarray(at, at + end - start), start);
    at += end - start;
  }
  return bytes;
}

/**
 * The ranges as a dictionary for zstd. It begins with a zero: a dictionary that begins with the bytes 37 a4 30 ec is read as
 * tables made by zstd's training (RFC 8878 § 5), and a file of the base may begin so.
 *
 * @param take - Gives memory for so many bytes.
 */
export function dictionaryOf(
  base: RandomReader,
  ranges: readonly Range[],
  take: (length: number) => Uint8Array = (length) => new Uint8Array(length),
): Uint8Array {
  if (ranges.length === 0) return new Uint8Array();
  const bytes = take(1 + lengthOf(ranges));
  bytes[0] = 0;
  fillWith(bytes.subarray(1), base, ranges);
  return bytes;
}

/**
 * How many ranges each dictionary has, where each range begins, counted from the end of the one before, and how long it is:
 * each in a column of its own.
 */
export function encodeDictionaries(dictionaries: readonly (readonly Range[])[]): ByteWriter[] {
  const [counts, gaps, lengths] = [new ByteWriter(), new ByteWriter(), new ByteWriter()];
  let last = 0;
  for (const ranges of dictionaries) {
    counts.unsigned(ranges.length);
    for (const { start, end } of ranges) {
      gaps.signed(start - last);
      lengths.unsigned(end - start);
      last = end;
    }
  }
  return [counts, gaps, lengths];
}

/** @throws DeltaError for ranges that are not within the base, are empty, are too many or too long. */
export function decodeDictionaries(columns: () => ByteCursor, count: number, baseBytes: number): Range[][] {
  const [counts, gaps, lengths] = [columns(), columns(), columns()];
  let [last, rangesLeft] = [0, maxRanges];
  const range = (): Range => {
    const start = last + gaps.signed();
    last = start + lengths.unsigned();
    checkRange(start, last, baseBytes);
    return { start, end: last };
  };
  return Array.from({ length: count }, () => {
    const length = counts.unsigned();
    rangesLeft -= length;
    if (rangesLeft < 0) throw new DeltaError(`the dictionaries of a block have more than ${maxRanges} ranges`);
    return checkLength(Array.from({ length }, range));
  });
}

function checkLength(ranges: Range[]): Range[] {
  if (lengthOf(ranges) <= maxDictionaryBytes) return ranges;
  throw new DeltaError(`a dictionary has more than ${maxDictionaryBytes} bytes`);
}

/** @throws DeltaError for what is empty or not within the base. */
export function checkRange(start: number, end: number, baseBytes: number): void {
  if (start >= 0 && start < end && end <= baseBytes) return;
  throw new DeltaError(`bytes ${start} to ${end} of a base of ${baseBytes} are named`);
}
