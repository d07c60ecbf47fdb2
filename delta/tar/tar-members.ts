/**
 * A tar, or any other bytes, cut into members that follow each other without a gap: headers, then a file's content.
 */
import type { RandomReader } from "../random-reader.ts";
import { tarFiles } from "./tar-files.ts";

export interface TarMember {
  /** Empty for what is no file. */
  readonly name: string;
  /** Where the headers begin, and everything else since the member before. */
  readonly headerStart: number;
  /** Where they end, and the content begins. */
  readonly start: number;
  readonly end: number;
}

/** What a tar of hostile bytes may cost in memory; further files are one member without a name. */
const maxMembers = 250_000;
/** Longer ones are not headers but something that is not understood, and are treated as content. */
const maxHeaderBytes = 64 * 1024;

/** The last member mostly has no content. */
export function* tarMembers(tar: RandomReader, limit = maxMembers): Generator<TarMember, void, undefined> {
  let [headerStart, count] = [0, 0];
  for (const { name, start, end } of tarFiles(tar)) {
    if (++count > limit) break;
    yield* member(name, headerStart, start, end);
    headerStart = end;
  }
  yield* member("", headerStart, tar.sizeBytes, tar.sizeBytes);
}

function* member(name: string, headerStart: number, start: number, end: number): Generator<TarMember> {
  if (start - headerStart <= maxHeaderBytes) {
    if (headerStart < end) yield { name, headerStart, start, end };
    return;
  }
  yield { name: "", headerStart, start: headerStart, end: start };
  if (start < end) yield { name, headerStart: start, start, end };
}
