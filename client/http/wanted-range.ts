import type { IncomingHttpHeaders } from "node:http";
import { parseRange, resolveRange } from "#oci/range.ts";
import { isRangeValid } from "./conditions.ts";

/** How much of something of known size a GET wants. */
export type WantedRange =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "several" }
  | { readonly kind: "unsatisfiable" };

/**
 * Read `Range` and `If-Range` (RFC 9110 § 14.2). Units that are not bytes are ignored; byte ranges that are no ranges
 * (`5-3`) are refused, as docker-registry does.
 */
export function judgeRange(headers: IncomingHttpHeaders, etag: string, sizeBytes: number): WantedRange {
  const { range: header } = headers;
  if (header === undefined || !isRangeValid(headers, etag)) return { kind: "whole" };
  const unit = /^\s*([!#$%&'*+.^_`|~0-9a-z-]+)=/i.exec(header)?.[1];
  if (unit !== undefined && unit.toLowerCase() !== "bytes") return { kind: "whole" };
  if (header.includes(",")) return { kind: "several" };
  const range = parseRange(header.trim());
  const part = range && resolveRange(range, sizeBytes);
  return part ? { kind: "part", ...part } : { kind: "unsatisfiable" };
}
