/** What HTTP says of paths, methods, headers, conditions and ranges (RFC 9110), as far as it is decided here. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { parseRange, type RangeRequest, resolveRange } from "#oci/body-headers.ts";

/** Whether a request only reads (RFC 9110 § 9.3.1, 9.3.2). */
export function isRead(method: string | undefined): method is "GET" | "HEAD" {
  return method === "GET" || method === "HEAD";
}

/** Whether a raw path, with or without query, is one of the registry API, and stays so when dot segments are resolved. */
export function isRegistryPath(rawUrl: string): boolean {
  if (!/^\/v2(?:[/?]|$)/.test(rawUrl)) return false;
  return /^\/v2(?:\/|$)/.test(URL.parse(rawUrl, "http://any.invalid")?.pathname ?? "");
}

/** They belong to one connection and are not forwarded (RFC 9110 § 7.6.1). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Names that are not forwarded with these headers, those that Connection lists included. */
function connectionHeaders({ connection }: IncomingHttpHeaders): ReadonlySet<string> {
  return hopByHop.union(
    new Set(
      String(connection)
        .toLowerCase()
        .split(/[\s,]+/),
    ),
  ); // undici gives repeated lines as a list
}

/**
 * What a puller's headers say to its registry, in order and with repeats: name, value, name, value … Host is the
 * upstream's, Authorization is said by who asks, Expect has been answered here. What says how the puller came here
 * would make the upstream write its Locations for another address.
 *
 * @param isLeftOut - Of names in lower case. @defaultValue none more
 */
export function forwardedHeaders(
  { headers, rawHeaders }: Pick<IncomingMessage, "headers" | "rawHeaders">,
  isLeftOut?: (name: string) => boolean,
): string[] {
  const ofConnection = connectionHeaders(headers);
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (ofConnection.has(name) || notForwarded.test(name) || isLeftOut?.(name)) continue;
    kept.push(rawHeaders[at]!, rawHeaders[at + 1]!);
  }
  return kept;
}

const notForwarded = /^(?:host|expect|authorization|forwarded|x-forwarded-.*)$/;

/**
 * By name in lower case, the lines of one header as one (RFC 9110 § 5.3, of Cookie RFC 9113 § 8.2.3).
 *
 * @param lines - Name, value, name, value …
 * @param leftOut - Of names in lower case. @defaultValue none
 */
export function joinedHeaders(lines: readonly string[], leftOut?: RegExp): Record<string, string> {
  const joined: Record<string, string> = {};
  for (let at = 0; at < lines.length; at += 2) {
    const [name, value] = [lines[at]!.toLowerCase(), lines[at + 1]!];
    if (leftOut?.test(name)) continue;
    const before = joined[name];
    joined[name] = before === undefined ? value : `${before}${name === "cookie" ? ";" : ","} ${value}`;
  }
  return joined;
}

/** The query of a raw URL with its question mark; empty without one. */
export function queryOf(rawUrl: string): string {
  return /\?.+/s.exec(rawUrl)?.[0] ?? "";
}

/** The headers of an answer that are the puller's. */
export function endToEnd(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const ofConnection = connectionHeaders(headers);
  const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !ofConnection.has(name));
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

/**
 * What the conditions of a GET or HEAD come to (RFC 9110 § 13.2.2) for something that has an entity tag and no date of
 * modification: 304, 412, or undefined when it is to be answered.
 *
 * @param etag - A strong entity tag, with its quotes.
 */
export function judgeConditions(headers: IncomingHttpHeaders, etag: string): 304 | 412 | undefined {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  if (ifMatch !== undefined && !names(ifMatch, etag)) return 412;
  if (ifNoneMatch === undefined) return undefined;
  // Compared weakly (§ 13.1.2): what is marked as weak matches as well.
  return names(ifNoneMatch, etag) || names(ifNoneMatch, `W/${etag}`) ? 304 : undefined;
}

/** Whether a range may be answered: without `If-Range`, or when that names what is here, strongly (§ 13.1.5). */
function isRangeValid(headers: IncomingHttpHeaders, etag: string): boolean {
  const ifRange = headers["if-range"];
  return ifRange === undefined || String(ifRange).trim() === etag;
}

/** Whether a list of entity tags names exactly this one, or is `*`. */
function names(list: string, etag: string): boolean {
  if (list.trim() === "*") return true;
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g)?.some((named) => named === etag) ?? false;
}

const conditions = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"];

/** Whether the answer depends on what the puller has (RFC 9110 § 13). */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return conditions.some((name) => headers[name] !== undefined);
}

/** How much a GET wants, before the size is known. */
export type Wanted =
  | { readonly kind: "whole" }
  | { readonly kind: "ranges"; readonly ranges: readonly RangeRequest[] }
  /** Bytes that are no ranges (`5-3`): refused, as docker-registry does. */
  | { readonly kind: "invalid" };

/** A request with more ranges gets the whole (RFC 9110 § 14.2: a server may ignore them). */
const maxRanges = 16;

/** Read `Range` and `If-Range` (RFC 9110 § 14.2, § 13.1.5). Units that are not bytes are ignored. */
export function wantedBy(headers: IncomingHttpHeaders, etag: string): Wanted {
  const { range: header } = headers;
  if (header === undefined || !isRangeValid(headers, etag)) return { kind: "whole" };
  const [, unit, set = ""] = /^\s*([!#$%&'*+.^_`|~0-9a-z-]+)=(.*)$/is.exec(header) ?? [];
  if (unit !== undefined && unit.toLowerCase() !== "bytes") return { kind: "whole" };
  const ranges = set.split(",").flatMap((one) => (one.trim() === "" ? [] : [parseRange(`bytes=${one.trim()}`)]));
  if (ranges.length > maxRanges) return { kind: "whole" };
  const isValid = ranges.length > 0 && ranges.every((range) => range !== undefined);
  return isValid ? { kind: "ranges", ranges } : { kind: "invalid" };
}

/** A part of something, `[start, end)`. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/**
 * The parts of something of known size that are wanted: none when no range can be satisfied (416), undefined for all of
 * it, as for ranges that together are longer than it.
 */
export function partsOf(wanted: Wanted, sizeBytes: number): readonly Part[] | undefined {
  if (wanted.kind === "whole") return undefined;
  if (wanted.kind === "invalid") return [];
  const parts = wanted.ranges.flatMap((range) => resolveRange(range, sizeBytes) ?? []);
  const total = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  return parts.length > 1 && total > sizeBytes ? undefined : parts;
}

/** Whether a range selects all of a blob of this size; never so when the blob is empty, where no range is satisfiable. */
export function isWhole(range: RangeRequest, sizeBytes: number): boolean {
  const selected = resolveRange(range, sizeBytes);
  return selected?.start === 0 && selected.end === sizeBytes;
}
