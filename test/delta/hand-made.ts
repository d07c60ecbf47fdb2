/** Deltas put together by hand, right in everything that a test does not make wrong. */
import { encodeBlock, type Section } from "#delta/format/block.ts";
import { encodeFrame, encodeHeader } from "#delta/format/delta-file.ts";
import { encodePlan, type Operation } from "#delta/format/plan.ts";
import type { Range } from "#delta/format/ranges.ts";
import { idOf } from "./deltas.ts";

export interface HandMadeBlock {
  readonly operations: readonly Operation[];
  readonly headerDictionary?: readonly Range[];
  readonly headers?: Uint8Array | Section;
  readonly parts?: readonly {
    readonly dictionary?: readonly Range[];
    readonly contents?: Uint8Array | Section;
    readonly differences?: Uint8Array | Section;
  }[];
}

export function handMade(
  base: Uint8Array,
  target: Uint8Array,
  blocks: readonly (HandMadeBlock | Uint8Array)[],
): Buffer {
  const frames = blocks.map((block) => encodeFrame(block instanceof Uint8Array ? block : handMadeBlock(block)));
  const header = encodeHeader({ base: idOf(base), target: idOf(target) });
  return Buffer.concat([header, ...frames, encodeFrame(new Uint8Array())]);
}

export function handMadeBlock({ operations, headerDictionary = [], headers, parts = [] }: HandMadeBlock): Uint8Array {
  const partDictionaries = parts.map(({ dictionary = [] }) => dictionary);
  return encodeBlock({
    plan: stored(encodePlan({ headerDictionary, partDictionaries, operations })),
    headers: stored(headers),
    parts: parts.map(({ contents, differences }) => ({ contents: stored(contents), differences: stored(differences) })),
  });
}

function stored(bytes: Uint8Array | Section = new Uint8Array()): Section {
  return bytes instanceof Uint8Array ? { plainBytes: bytes.length, packed: bytes } : bytes;
}
