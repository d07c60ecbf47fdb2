/**
 * Which GETs of a blob want all of it: those can come from anywhere, the others are the registry's to answer.
 */
import type { IncomingHttpHeaders } from "node:http";
import { parseRange, type RangeRequest, resolveRange } from "#oci/range.ts";

/** What a GET asks for, as far as its headers tell. */
export type Wanted =
  | { readonly kind: "whole" /** To be answered with 206 when given. */; readonly range?: RangeRequest }
  /** All of the blob if it has no more than these bytes. */
  | { readonly kind: "perhaps whole"; readonly range: RangeRequest }
  | { readonly kind: "other" };

const conditions = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"];

/** Read the headers of a GET (RFC 9110 § 13 and § 14). */
export function wantedBy(headers: IncomingHttpHeaders): Wanted {
  if (isConditional(headers)) return { kind: "other" };
  if (headers.range === undefined) return { kind: "whole" };
  const range = parseRange(headers.range);
  if (!range) return { kind: "other" };
  if ("suffix" in range) return { kind: "perhaps whole", range };
  if (range.start > 0) return { kind: "other" };
  return { kind: range.end === undefined ? "whole" : "perhaps whole", range };
}

/** Whether the answer depends on what the puller has (RFC 9110 § 13). */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return conditions.some((name) => headers[name] !== undefined);
}

/** Whether a range selects all of a blob of this size; never so when the blob is empty, where no range is satisfiable. */
export function isWhole(range: RangeRequest, sizeBytes: number): boolean {
  const selected = resolveRange(range, sizeBytes);
  return selected?.start === 0 && selected.end === sizeBytes;
}
