/**
 * Byte ranges of HTTP (RFC 9110 § 14). Inside the house they are half-open, `[start, end)`; on the wire the last byte is included.
 */

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
