import type { IncomingHttpHeaders } from "node:http";

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
export function isRangeValid(headers: IncomingHttpHeaders, etag: string): boolean {
  const ifRange = headers["if-range"];
  return ifRange === undefined || String(ifRange).trim() === etag;
}

/** Whether a list of entity tags names exactly this one, or is `*`. */
function names(list: string, etag: string): boolean {
  if (list.trim() === "*") return true;
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g)?.some((named) => named === etag) ?? false;
}
