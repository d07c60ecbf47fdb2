/**
 * From a base and a delta to the tar. Whatever the delta says, it takes bounded memory, and it either gives the tar that is
 * expected or fails.
 */
import { createHash } from "node:crypto";
import { type Block, decodeBlock } from "./format/block.ts";
import { ByteCursor } from "./format/byte-coding.ts";
import { maxAllDictionariesBytes } from "./format/caps.ts";
import { DeltaError } from "./format/delta-error.ts";
import { readBlocks, readHeader, type TarId } from "./format/delta-file.ts";
import { DifferenceReader } from "./format/difference-coding.ts";
import type { Operation } from "./format/plan.ts";
import { piecesOf, type RandomReader } from "./random-reader.ts";

/** A tar whose size and hash are known. */
export interface KnownTar {
  readonly bytes: RandomReader;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** Takes the next bytes; valid until it returns. */
export type Write = (bytes: Uint8Array) => void;

/**
 * Write the tar, piece by piece.
 *
 * @param expected - From a source that is trusted: what is written is right only when this returns.
 * @throws DeltaError when the delta gives anything else, or is for another base; at most `expected.sizeBytes` have been written.
 * @throws Error when the base cannot be read, and what `write` throws.
 */
export function applyDelta(base: KnownTar, delta: RandomReader, expected: TarId, write: Write): void {
  checkHeader(base, delta, expected);
  const output = new Output(expected, write);
  let dictionariesLeft = maxAllDictionariesBytes(expected.sizeBytes);
  for (const bytes of readBlocks(delta)) {
    const block = decodeBlock(bytes, base.bytes);
    dictionariesLeft -= block.dictionaryBytes;
    if (dictionariesLeft < 0) throw new DeltaError("the dictionaries have too many bytes");
    applyBlock(block, base.bytes, output);
  }
  output.finish();
}

function checkHeader(base: KnownTar, delta: RandomReader, expected: TarId): void {
  const header = readHeader(delta);
  if (header.base.sha256 !== base.sha256 || header.base.sizeBytes !== base.bytes.sizeBytes)
    throw new DeltaError(`the delta is for a base of sha256 ${header.base.sha256}, not ${base.sha256}`);
  if (header.target.sha256 !== expected.sha256 || header.target.sizeBytes !== expected.sizeBytes)
    throw new DeltaError(`the delta gives a tar of sha256 ${header.target.sha256}, not ${expected.sha256}`);
}

/** @throws DeltaError unless everything in the block is used. */
function applyBlock(block: Block, base: RandomReader, output: Output): void {
  const headers = new ByteCursor(block.headers);
  const parts = block.parts.map(({ contents, differences }) => ({
    contents: new ByteCursor(contents),
    differences: new DifferenceReader(new ByteCursor(differences)),
  }));
  for (const operation of block.operations) {
    output.expect(operation.length);
    if (operation.kind === "header") output.write(headers.bytes(operation.length));
    else if (operation.kind === "content") output.write(parts[operation.part]!.contents.bytes(operation.length));
    else copy(base, operation, output, operation.kind === "copy" ? undefined : parts[operation.part]!.differences);
  }
  for (const { differences } of parts) differences.checkEnd();
  if (!headers.isAtEnd || parts.some(({ contents }) => !contents.isAtEnd))
    throw new DeltaError("a block has more bytes than its operations take");
}

function copy(
  base: RandomReader,
  { start, length }: Operation & { readonly start: number },
  output: Output,
  differences: DifferenceReader | undefined,
): void {
  for (const piece of piecesOf(base, start, start + length)) {
    differences?.addTo(piece);
    output.write(piece);
  }
}

/** Counts and hashes what is written. */
class Output {
  readonly #expected: TarId;
  readonly #write: Write;
  readonly #hash = createHash("sha256");
  #leftBytes: number;

  constructor(expected: TarId, write: Write) {
    this.#expected = expected;
    this.#write = write;
    this.#leftBytes = expected.sizeBytes;
  }

  /** @throws DeltaError when so many bytes more would be too many. */
  expect(length: number): void {
    if (length > this.#leftBytes) throw new DeltaError(`the tar has more than ${this.#expected.sizeBytes} bytes`);
    this.#leftBytes -= length;
  }

  write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#write(bytes);
  }

  /** @throws DeltaError unless all has been written, and is right. */
  finish(): void {
    if (this.#leftBytes > 0) throw new DeltaError(`the tar lacks ${this.#leftBytes} bytes`);
    const sha256 = this.#hash.digest("hex");
    if (sha256 !== this.#expected.sha256) throw new DeltaError(`the tar has sha256 ${sha256}`);
  }
}
