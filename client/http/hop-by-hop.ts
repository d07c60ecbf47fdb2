/** Which headers belong to one connection and are not forwarded (RFC 9110 § 7.6.1). */
import type { IncomingHttpHeaders } from "node:http";

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
export function connectionHeaders(connection: string | string[] | undefined): (name: string) => boolean {
  const listed = [connection ?? []].flat().flatMap((line) => line.split(","));
  const names = new Set(listed.map((name) => name.trim().toLowerCase()));
  return (name) => hopByHop.has(name) || names.has(name);
}

/** The headers of an answer that are the puller's. */
export function endToEnd(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const isOfConnection = connectionHeaders(headers.connection);
  const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !isOfConnection(name));
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}
