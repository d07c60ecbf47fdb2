/**
 * What headers say of the bytes of a body: which of a blob's they are (ranges, RFC 9110 § 14), and what a registry, or a
 * proxy before it, has done to them although that was not asked for (content codings, § 8.4). Inside the house ranges are
 * half-open, `[start, end)`; on the wire the last byte is included.
 */
import type { IncomingHttpHeaders } from "node:http";
import { pipeline, type Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";

/** What a `Range` header asks for, before the size is known; without `end` up to the last byte. */
export type RangeRequest = { start: number; end: number | undefined } | { suffix: number };

/** One well-formed bytes range; undefined for none, several, other units or nonsense. */
export function parseRange(header: string | undefined): RangeRequest | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? "");
  const [first, last] = [match?.[1], match?.[2]];
  if (!first) return last ? { suffix: position(last) } : undefined;
  if (!last) return { start: position(first), end: undefined };
  return position(first) <= position(last) ? { start: position(first), end: position(last) + 1 } : undefined;
}

/** The bytes that `range` selects of `sizeBytes`; undefined when it is not satisfiable, which is always so for an empty blob. */
export function resolveRange(range: RangeRequest, sizeBytes: number): { start: number; end: number } | undefined {
  const start = "suffix" in range ? Math.max(0, sizeBytes - range.suffix) : range.start;
  const end = "suffix" in range ? sizeBytes : Math.min(range.end ?? sizeBytes, sizeBytes);
  return start < end ? { start, end } : undefined;
}

/** The bytes that an answer claims to carry, or the size with which it refuses (416); undefined when missing or contradictory. */
export function parseContentRange(
  header: string | undefined,
):
  | { start: number; end: number; sizeBytes: number | undefined }
  | { unsatisfied: true; sizeBytes: number }
  | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(header ?? "");
  if (match === null) return undefined;
  const [, first, last, size] = match;
  const sizeBytes = size === undefined || size === "*" ? undefined : Number(size);
  if (first === undefined || last === undefined) return unsatisfied(sizeBytes);
  const [start, end] = [Number(first), Number(last) + 1];
  const holds = start < end && end <= (sizeBytes ?? Number.MAX_SAFE_INTEGER) && Number.isSafeInteger(sizeBytes ?? end);
  return holds ? { start, end, sizeBytes } : undefined;
}

/** `bytes 0-99/1000` for a 206; `range` must not be empty. */
export function formatContentRange(range: { start: number; end: number }, sizeBytes: number): string {
  return `bytes ${range.start}-${range.end - 1}/${sizeBytes}`;
}

/** `bytes=0-99`, or `bytes=100-` without `end`. */
export function formatRange(start: number, end?: number): string {
  return `bytes=${start}-${end === undefined ? "" : end - 1}`;
}

// Some clients write 2^63-1 for "to the end": no blob is that long, so the largest exact number means the same.
function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER - 1);
}

function unsatisfied(sizeBytes: number | undefined): { unsatisfied: true; sizeBytes: number } | undefined {
  return sizeBytes !== undefined && Number.isSafeInteger(sizeBytes) ? { unsatisfied: true, sizeBytes } : undefined;
}

/** Each added once is more than anyone does. */
const maxCodings = 3;
const pieces = { chunkSize: 64 * 1024 };

const decoders: ReadonlyMap<string, () => Transform> = new Map([
  ["gzip", () => createGunzip(pieces)],
  ["x-gzip", () => createGunzip(pieces)],
  ["deflate", () => createInflate(pieces)],
  ["br", () => createBrotliDecompress(pieces)],
  ["zstd", () => createZstdDecompress(pieces)],
]);

/** Whether a body has other bytes than what it stands for: a digest and a length are of what is not encoded. */
export function isEncoded(headers: IncomingHttpHeaders): boolean {
  return headers["content-encoding"] !== undefined && codingsOf(headers).length > 0;
}

/**
 * A body without its codings, in pieces of up to 64 KiB; to be read or destroyed in the place of the other. How long it
 * becomes is for the reader to bound.
 *
 * @returns Undefined, with the body as it was, for codings that are not known.
 */
export function decoded({ headers, body }: { headers: IncomingHttpHeaders; body: Readable }): Readable | undefined {
  const codings = codingsOf(headers);
  const makers = codings.toReversed().flatMap((coding) => decoders.get(coding) ?? []); // the last one was applied last
  if (makers.length < codings.length || codings.length > maxCodings) return undefined;
  if (makers.length === 0) return body;
  const steps = makers.map((make) => make());
  pipeline([body, ...steps], () => {}); // a failure comes to the reader of the last step
  return steps.at(-1)!;
}

function codingsOf({ "content-encoding": header = "" }: IncomingHttpHeaders): string[] {
  const codings = header.split(",").map((coding) => coding.trim().toLowerCase());
  return codings.filter((coding) => coding !== "" && coding !== "identity");
}
