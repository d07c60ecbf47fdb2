/**
 * Collects the next bytes of a tar, and what they are made from, until they are enough for a block.
 */
import { encodeBlock, type Section } from "../format/block.ts";
import { maxDictionaryBytes, maxParts } from "../format/caps.ts";
import { pack } from "../format/packing.ts";
import { encodePlan, type Operation } from "../format/plan.ts";
import { dictionaryOf, fillWith, type Range } from "../format/ranges.ts";
import type { RandomReader } from "../random-reader.ts";
import type { Part, PartMaker } from "./part-maker.ts";
import type { Scratch } from "./scratch.ts";

/** With these a block stays within all caps, whatever is added last. */
const enough = {
  unpackedBytes: 16 << 20,
  operations: 1 << 15,
  ranges: 1 << 14,
  headerBytes: 2 << 20,
  parts: maxParts - 2,
};
/** Small files are packed together: what they have in common is there once; less than 8 MB costs half a point of the share. */
const enoughForPack = { plainBytes: 8 << 20, dictionaryBytes: maxDictionaryBytes - (4 << 20) };
/** Headers are small, and mostly what differs. */
const headerLevel = 9;
const planLevel = 19;

/** Small files that are being collected for one part. */
interface OpenPack {
  readonly part: number;
  readonly contents: Range[];
  /** Of the base, each once. */
  readonly dictionary: Map<number, Range>;
  plainBytes: number;
  dictionaryBytes: number;
}

/** Of one block: each call adds the bytes that follow those of the call before. */
export class BlockBuilder {
  readonly #base: RandomReader;
  readonly #target: RandomReader;
  readonly #maker: PartMaker;
  readonly #plain: Scratch;
  readonly #operations: Operation[] = [];
  readonly #headers: Range[] = [];
  readonly #headerDictionary: Range[] = [];
  #headerBytes = 0;
  #headerDictionaryBytes = 0;
  readonly #parts: (Part | undefined)[] = [];
  #pack: OpenPack | undefined;
  #unpackedBytes = 0;
  #ranges = 0;

  /** @param plain - Memory for contents. */
  constructor(base: RandomReader, target: RandomReader, maker: PartMaker, plain: Scratch) {
    this.#base = base;
    this.#target = target;
    this.#maker = maker;
    this.#plain = plain;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Whether the block is to be closed now. */
  get isFull(): boolean {
    return (
      this.#unpackedBytes >= enough.unpackedBytes ||
      this.#operations.length >= enough.operations ||
      this.#ranges >= enough.ranges ||
      this.#parts.length >= enough.parts ||
      this.#headerBytes >= enough.headerBytes
    );
  }

  /** The next bytes are those of the base from `start` on. */
  copy(start: number, length: number): void {
    const last = this.#operations.at(-1);
    if (last?.kind === "copy" && last.start + last.length === start) this.#merge(last, length);
    else if (length > 0) this.#operations.push({ kind: "copy", start, length });
  }

  /** The next bytes are headers, at `range` of the target, which resemble those at `similar` of the base, if any. */
  header(range: Range, similar: readonly Range[]): void {
    const length = range.end - range.start;
    if (length === 0) return;
    this.#unpackedBytes += length;
    this.#headerBytes += length;
    this.#headers.push(range);
    for (const range of similar) this.#addToHeaderDictionary(range);
    const last = this.#operations.at(-1);
    if (last?.kind === "header") this.#merge(last, length);
    else this.#operations.push({ kind: "header", length });
  }

  /** The next bytes are a small file, at `content` of the target, which is packed with others. */
  small(content: Range, similar: readonly Range[]): void {
    this.#pack ??= this.#openPack();
    const pack = this.#pack;
    const length = content.end - content.start;
    pack.contents.push(content);
    pack.plainBytes += length;
    this.#unpackedBytes += length;
    for (const range of similar) this.#addTo(pack, range);
    this.#operations.push({ kind: "content", part: pack.part, length });
    if (pack.plainBytes >= enoughForPack.plainBytes || pack.dictionaryBytes >= enoughForPack.dictionaryBytes)
      this.#closePack();
  }

  /** The next bytes are what a part makes. */
  part(part: Part): void {
    const index = this.#parts.push(part) - 1;
    this.#unpackedBytes += part.contents.plainBytes + part.differences.plainBytes;
    this.#ranges += part.dictionary.length;
    for (const operation of part.operations) this.#operations.push({ ...operation, part: index });
  }

  /** The block as it is in a delta; nothing is added afterwards. */
  build(): Uint8Array {
    if (this.#pack) this.#closePack();
    const parts = this.#parts.map((part) => part!);
    const plan = encodePlan({
      headerDictionary: this.#headerDictionary,
      partDictionaries: parts.map(({ dictionary }) => dictionary),
      operations: this.#operations,
    });
    const headers = fillWith(new Uint8Array(this.#headerBytes), this.#target, this.#headers);
    return encodeBlock({
      plan: packed(plan, planLevel),
      headers: packed(headers, headerLevel, dictionaryOf(this.#base, this.#headerDictionary)),
      parts,
    });
  }

  #merge(last: Operation, length: number): void {
    this.#operations[this.#operations.length - 1] = { ...last, length: last.length + length };
  }

  #openPack(): OpenPack {
    const part = this.#parts.push(undefined) - 1;
    return { part, contents: [], dictionary: new Map(), plainBytes: 0, dictionaryBytes: 0 };
  }

  #addToHeaderDictionary(range: Range): void {
    const length = range.end - range.start;
    if (length === 0 || this.#headerDictionaryBytes + length > maxDictionaryBytes) return;
    this.#headerDictionary.push(range);
    this.#headerDictionaryBytes += length;
    this.#ranges += 1;
  }

  #addTo(pack: OpenPack, range: Range): void {
    const length = range.end - range.start;
    if (pack.dictionary.has(range.start) || pack.dictionaryBytes + length > maxDictionaryBytes) return;
    pack.dictionary.set(range.start, range);
    pack.dictionaryBytes += length;
    this.#ranges += 1;
  }

  #closePack(): void {
    const { part, contents, dictionary, plainBytes } = this.#pack!;
    const plain = fillWith(this.#plain.take(plainBytes), this.#target, contents);
    this.#parts[part] = this.#maker.pack([...dictionary.values()], plain);
    this.#pack = undefined;
  }
}

function packed(plain: Uint8Array, level: number, dictionary?: Uint8Array): Section {
  return { plainBytes: plain.length, packed: pack(plain, level, dictionary) };
}
