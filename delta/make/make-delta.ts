/**
 * From a base and a target, both tars, to the delta that leads from the one to the other. Any bytes will do in place of a tar;
 * of what is none, the delta is larger.
 */
import type { KnownTar, Write } from "../apply-delta.ts";
import { maxAllDictionariesBytes, maxDictionaryBytes } from "../format/caps.ts";
import { encodeFrame, encodeHeader, type TarId } from "../format/delta-file.ts";
import { fillWith, lengthOf, type Range } from "../format/ranges.ts";
import { type RandomReader, readBytes } from "../random-reader.ts";
import { type TarMember, tarMembers } from "../tar/tar-members.ts";
import { BaseIndex, type Counterpart } from "./base-index.ts";
import { BlockBuilder } from "./block-builder.ts";
import { type Part, PartMaker, sizeOf } from "./part-maker.ts";
import { Scratch } from "./scratch.ts";
import { SimilarRanges } from "./similar-ranges.ts";

/** Larger files are cut into windows, each with what it has in common with the base. */
const windowBytes = 8 << 20;
/** Smaller ones are packed together, */
const smallBytes = 1 << 20;
/** but programs from here on may be written as differences, */
const programBytes = 64 * 1024;
/** if that is less than this share of their size: two versions of the same, but for addresses. */
const clearShare = 1 / 12;

/**
 * Write the delta, piece by piece.
 *
 * @throws Error when a tar cannot be read, and what `write` throws.
 */
export function makeDelta(base: KnownTar, target: KnownTar, write: Write): void {
  write(encodeHeader({ base: idOf(base), target: idOf(target) }));
  new DeltaMaker(base.bytes, target.bytes, write).run();
  write(encodeFrame(new Uint8Array()));
}

function idOf({ bytes: { sizeBytes }, sha256 }: KnownTar): TarId {
  return { sizeBytes, sha256 };
}

class DeltaMaker {
  readonly #base: RandomReader;
  readonly #target: RandomReader;
  readonly #write: Write;
  readonly #index: BaseIndex;
  readonly #maker: PartMaker;
  /** Contents that are being packed. */
  readonly #plain = new Scratch();
  #block: BlockBuilder;
  #dictionariesLeft: number;
  /** Of the large file that was asked about last. */
  #similar: { readonly member: TarMember; readonly ranges: SimilarRanges } | undefined;

  constructor(base: RandomReader, target: RandomReader, write: Write) {
    this.#base = base;
    this.#target = target;
    this.#write = write;
    this.#maker = new PartMaker(base);
    this.#index = new BaseIndex(base);
    this.#block = this.#newBlock();
    this.#dictionariesLeft = maxAllDictionariesBytes(target.sizeBytes);
  }

  run(): void {
    for (const member of tarMembers(this.#target)) {
      const counterpart = this.#index.counterpartOf(member, this.#target);
      this.#addHeaders(member, counterpart);
      this.#addContent(member, counterpart);
      if (this.#block.isFull) this.#closeBlock();
    }
    if (!this.#block.isEmpty) this.#closeBlock();
  }

  #newBlock(): BlockBuilder {
    return new BlockBuilder(this.#base, this.#target, this.#maker, this.#plain);
  }

  #closeBlock(): void {
    this.#write(encodeFrame(this.#block.build()));
    this.#block = this.#newBlock();
  }

  #addHeaders(member: TarMember, counterpart: Counterpart | undefined): void {
    const range = headersOf(member);
    const similar = counterpart && headersOf(counterpart.member);
    if (similar && isSame(this.#target, range, this.#base, similar))
      this.#block.copy(similar.start, lengthOf([similar]));
    else this.#block.header(range, this.#dictionary(similar ? [similar] : []));
  }

  #addContent(member: TarMember, counterpart: Counterpart | undefined): void {
    const length = member.end - member.start;
    if (length === 0) return;
    if (counterpart?.isSame) this.#block.copy(counterpart.member.start, length);
    else if (length < programBytes) this.#addSmall(member, counterpart);
    else this.#addWindows(member, counterpart);
  }

  #addSmall(member: TarMember, counterpart: Counterpart | undefined): void {
    this.#block.small(member, this.#dictionary(this.#similarRanges(member, member, counterpart)));
  }

  #addWindows(member: TarMember, counterpart: Counterpart | undefined): void {
    const isProgram = hasZeros(this.#target, member);
    for (let start = member.start; start < member.end; start += windowBytes) {
      const window = { start, end: Math.min(start + windowBytes, member.end) };
      const part = this.#partFor(window, isProgram, this.#similarRanges(window, member, counterpart), member);
      if (part) this.#block.part(part);
      else this.#addSmall(member, counterpart);
      if (this.#block.isFull) this.#closeBlock();
    }
  }

  /** Undefined for a file that is better packed with others. */
  #partFor(window: Range, isProgram: boolean, ranges: readonly Range[], member: TarMember): Part | undefined {
    const plain = fillWith(this.#plain.take(window.end - window.start), this.#target, [window]);
    const differing = isProgram && ranges.length > 0 ? this.#maker.differ(ranges, plain) : undefined;
    if (differing && sizeOf(differing) < plain.length * clearShare) return differing;
    if (member.end - member.start < smallBytes) return undefined;
    const packed = this.#maker.pack(this.#dictionary(ranges), plain);
    return differing && sizeOf(differing) < sizeOf(packed) ? differing : packed;
  }

  /** What a piece of a file has in common with the base, as much as a dictionary may have. */
  #similarRanges(piece: Range, member: TarMember, counterpart: Counterpart | undefined): Range[] {
    if (counterpart === undefined) return [];
    const { start, end } = counterpart.member;
    if (end - start <= maxDictionaryBytes) return [{ start, end }];
    if (this.#similar?.member !== counterpart.member)
      this.#similar = { member: counterpart.member, ranges: new SimilarRanges(this.#base, counterpart.member) };
    const place = (piece.start - member.start) / (member.end - member.start);
    return this.#similar.ranges.rangesFor(readBytes(this.#target, piece.start, piece.end), place);
  }

  /** Ranges as a dictionary, as long as the budget of all dictionaries lasts. */
  #dictionary(ranges: readonly Range[]): readonly Range[] {
    const bytes = lengthOf(ranges);
    if (bytes > this.#dictionariesLeft) return [];
    this.#dictionariesLeft -= bytes;
    return ranges;
  }
}

function headersOf({ headerStart, start }: TarMember): Range {
  return { start: headerStart, end: start };
}

function isSame(a: RandomReader, inA: Range, b: RandomReader, inB: Range): boolean {
  if (lengthOf([inA]) !== lengthOf([inB])) return false;
  return Buffer.compare(readBytes(a, inA.start, inA.end), readBytes(b, inB.start, inB.end)) === 0;
}

/** Whether the beginning has zeros, as programs have, and texts have not. */
function hasZeros(target: RandomReader, { start, end }: Range): boolean {
  return readBytes(target, start, Math.min(end, start + 4096)).includes(0);
}
