/**
 * The files in a tar, in its order: where their contents are, and what they are called. Everything else (headers, links,
 * devices, extended attributes, padding, what is no tar at all) is bytes between contents. A delta carries those as they
 * are: what is read wrong here costs bytes, it never makes a wrong tar.
 */
import { type RandomReader, readBytes } from "../random-reader.ts";
import { blockBytes, continuesMap, parseHeader, type TarHeader, textOf } from "./tar-header.ts";

/** The content of a file, which has at least one byte, at `[start, end)` of the tar. */
export interface TarFile {
  /** Without `./` or `/` before it; a byte per character, in whatever encoding the tar has. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Walk through a tar. What looks like no header is passed over, block by block, until one comes. */
export function* tarFiles(tar: RandomReader): Generator<TarFile, void, undefined> {
  let extension: Extension = {};
  for (let at = 0; at + blockBytes <= tar.sizeBytes; ) {
    const header = parseHeader(readBytes(tar, at, at + blockBytes));
    at += blockBytes;
    if (header === undefined) continue;
    if (header.isMapContinued) at = endOfMap(tar, at);
    const sizeBytes = header.hasContent ? (extension.sizeBytes ?? header.sizeBytes) : 0;
    const end = Math.min(at + sizeBytes, tar.sizeBytes);
    if (isExtension(header)) {
      extension = { ...extension, ...readExtension(header, tar, at, end) };
    } else {
      if (end > at) yield { name: bareName(extension.name ?? header.name), start: at, end };
      extension = {};
    }
    at += Math.ceil((end - at) / blockBytes) * blockBytes;
  }
}

/** What headers before a file's own say of it. */
interface Extension {
  readonly name?: string;
  readonly sizeBytes?: number;
}

/** Longer ones are passed over; names have up to 4096 bytes, extended attributes up to 64 KiB each. */
const maxExtensionBytes = 1 << 20;

/** Of pax: `x` (`X` in Solaris) for the next file, `g` for all; of GNU: `L` a long name, `K` a link's long target. */
function isExtension({ type }: TarHeader): boolean {
  return "xXgLK".includes(type);
}

function readExtension({ type }: TarHeader, tar: RandomReader, start: number, end: number): Extension {
  if (end - start > maxExtensionBytes || type === "g" || type === "K") return {};
  const bytes = readBytes(tar, start, end);
  return type === "L" ? { name: textOf(bytes, 0, bytes.length) } : paxExtension(bytes);
}

/** Records `LENGTH KEY=VALUE\n`, the length in bytes and of the whole record. */
function paxExtension(bytes: Uint8Array): Extension {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const records = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const [, digits = "", key = ""] = /^(\d{1,7}) ([^=]*)=/.exec(text.slice(at, at + 300)) ?? [];
    const length = Number(digits);
    if (length === 0 || text[at + length - 1] !== "\n") break;
    records.set(key, text.slice(at + digits.length + key.length + 2, at + length - 1));
    at += length;
  }
  const name = records.get("GNU.sparse.name") ?? records.get("path");
  const sizeBytes = Number.parseInt(records.get("size") ?? "", 10);
  return { ...(name !== undefined && { name }), ...(Number.isSafeInteger(sizeBytes) && { sizeBytes }) };
}

/** Where the blocks that continue GNU's map of a sparse file end. */
function endOfMap(tar: RandomReader, start: number): number {
  let at = start;
  for (let more = true; more && at + blockBytes <= tar.sizeBytes; at += blockBytes) {
    more = continuesMap(readBytes(tar, at, at + blockBytes));
  }
  return at;
}

/** Linux has no longer ones. */
const maxNameBytes = 4096;

/** A copy: a part of a string keeps the whole, all records of a header, alive. */
function bareName(name: string): string {
  const bare = name.replace(/^(?:\.?\/)+/, "").slice(0, maxNameBytes);
  return Buffer.from(bare, "latin1").toString("latin1");
}
