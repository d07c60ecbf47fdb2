/**
 * One header block of a tar (POSIX.1-2017, pax, § ustar Interchange Format; GNU tar manual, § Basic Tar Format), read as
 * far as matching needs it.
 */

/** Headers are one block, contents are padded to whole ones. */
export const blockBytes = 512;

export interface TarHeader {
  /** A character such as `0` for a regular file; `\0` is given as `0`. */
  readonly type: string;
  /** As far as this block has it, a byte per character. */
  readonly name: string;
  /** Of the content that follows, if any does. */
  readonly sizeBytes: number;
  /** False for links, devices, directories and FIFOs; some writers give a hard link its file's size, and no content. */
  readonly hasContent: boolean;
  /** GNU's sparse files: a block with more of the map follows before the content. */
  readonly isMapContinued: boolean;
}

/** What this block says; undefined for one that is no header, by its checksum. */
export function parseHeader(block: Uint8Array): TarHeader | undefined {
  if (block.length < blockBytes || !hasRightChecksum(block)) return undefined;
  const size = parseNumber(block, 124, 136);
  if (size === undefined) return undefined;
  const type = String.fromCharCode(block[156]! || 0x30);
  return {
    type,
    name: nameIn(block),
    sizeBytes: size,
    hasContent: !"123456".includes(type),
    isMapContinued: type === "S" && block[482] !== 0,
  };
}

/** Whether the block says that a further one of GNU's sparse map follows. */
export function continuesMap(block: Uint8Array): boolean {
  return block[504] !== 0;
}

/** Of all bytes with the checksum itself as spaces; some writers have summed signed bytes. */
function hasRightChecksum(block: Uint8Array): boolean {
  const expected = parseNumber(block, 148, 156);
  let [unsigned, signed] = [0, 0];
  for (let at = 0; at < blockBytes; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : block[at]!;
    unsigned += byte;
    signed += (byte << 24) >> 24;
  }
  return expected === unsigned || expected === signed;
}

/** Octal digits between spaces and NULs, or GNU's big-endian binary; undefined for anything else. */
function parseNumber(block: Uint8Array, start: number, end: number): number | undefined {
  if ((block[start]! & 0x80) !== 0) return parseBinary(block.subarray(start, end));
  const text = textOf(block, start, end).trim();
  if (text === "") return 0;
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function parseBinary(bytes: Uint8Array): number | undefined {
  let value = bytes[0]! & 0x7f;
  for (const byte of bytes.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** ustar has the beginning of a long name in a field of its own, where GNU has times. */
function nameIn(block: Uint8Array): string {
  const name = textOf(block, 0, 100);
  const prefix = textOf(block, 257, 263) === "ustar" && block[263] === 0x30 ? textOf(block, 345, 500) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Up to the first NUL, a byte per character. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end);
  const nul = text.indexOf("\0");
  return nul < 0 ? text : text.slice(0, nul);
}
