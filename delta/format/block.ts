/**
 * A block: the next bytes of the tar, with everything that they need beside the base. Its sections are a plan, headers, and
 * for each part contents and differences.
 */

import type { RandomReader } from "../random-reader.ts";
import { ByteCursor, ByteWriter } from "./byte-coding.ts";
import { maxParts, maxPlanBytes, maxUnpackedBytes } from "./caps.ts";
import { DeltaError } from "./delta-error.ts";
import { unpack } from "./packing.ts";
import { decodePlan, type Operation } from "./plan.ts";
import { dictionaryOf, lengthOf } from "./ranges.ts";

/** Packed bytes; stored as they are where both sizes are the same. */
export interface Section {
  readonly plainBytes: number;
  readonly packed: Uint8Array;
}

export interface PackedBlock {
  readonly plan: Section;
  readonly headers: Section;
  readonly parts: readonly { readonly contents: Section; readonly differences: Section }[];
}

/** What the operations take their bytes from. */
export interface Block {
  readonly operations: Iterable<Operation>;
  readonly headers: Uint8Array;
  readonly parts: readonly { readonly contents: Uint8Array; readonly differences: Uint8Array }[];
  /** Of all its dictionaries together. */
  readonly dictionaryBytes: number;
}

export function encodeBlock({ plan, headers, parts }: PackedBlock): Uint8Array {
  const sections = [plan, headers, ...parts.flatMap(({ contents, differences }) => [contents, differences])];
  const bytes = new ByteWriter();
  bytes.unsigned(parts.length);
  for (const { plainBytes, packed } of sections) {
    bytes.unsigned(plainBytes);
    bytes.unsigned(packed.length);
  }
  for (const { packed } of sections) bytes.bytes(packed);
  return bytes.written();
}

/** @throws DeltaError for what is no block, or asks for more than a block may. */
export function decodeBlock(bytes: Uint8Array, base: RandomReader): Block {
  const { plan, headers, parts } = readSections(bytes);
  const planBytes = unpack(plan.packed, plan.plainBytes);
  const { headerDictionary, partDictionaries, operations } = decodePlan(planBytes, parts.length, base.sizeBytes);
  return {
    operations,
    headers: unpack(headers.packed, headers.plainBytes, dictionaryOf(base, headerDictionary)),
    parts: parts.map(({ contents, differences }, part) => ({
      contents: unpack(contents.packed, contents.plainBytes, dictionaryOf(base, partDictionaries[part]!)),
      differences: unpack(differences.packed, differences.plainBytes),
    })),
    dictionaryBytes: lengthOf([headerDictionary, ...partDictionaries].flat()),
  };
}

/** @throws DeltaError for what is no row of sections, or too large unpacked. */
export function readSections(bytes: Uint8Array): PackedBlock {
  const cursor = new ByteCursor(bytes);
  const partCount = cursor.unsigned();
  if (partCount > maxParts) throw new DeltaError(`a block has ${partCount} parts`);
  const sizes = Array.from({ length: 2 + 2 * partCount }, () => ({
    plainBytes: cursor.unsigned(),
    packedBytes: cursor.unsigned(),
  }));
  checkSizes(sizes);
  const next = (index: number): Section => {
    const { plainBytes, packedBytes } = sizes[index]!;
    return { plainBytes, packed: cursor.bytes(packedBytes) };
  };
  const block: PackedBlock = {
    plan: next(0),
    headers: next(1),
    parts: Array.from({ length: partCount }, (_, part) => ({
      contents: next(2 + 2 * part),
      differences: next(3 + 2 * part),
    })),
  };
  if (!cursor.isAtEnd) throw new DeltaError("a block goes on behind its last section");
  return block;
}

function checkSizes([plan, ...others]: readonly { readonly plainBytes: number }[]): void {
  const unpackedBytes = others.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
  if (plan!.plainBytes <= maxPlanBytes && unpackedBytes <= maxUnpackedBytes) return;
  throw new DeltaError(`a block unpacks to ${plan!.plainBytes} and ${unpackedBytes} bytes`);
}
