import type { IncomingMessage } from "node:http";
import { connectionHeaders } from "../http/hop-by-hop.ts";

/**
 * The puller's headers for the upstream, as undici takes them (name, value, name, value …), in order and with repeats.
 * Host is the upstream's, Authorization what is given instead of the puller's. Expect has been answered here. What says how the puller came here would make the upstream
 * write its Locations for somebody else.
 */
export function upstreamHeaders(request: IncomingMessage, authorization: string | undefined): string[] {
  const isOfConnection = connectionHeaders(request.headers.connection);
  const isKept = (name: string) => !isOfConnection(name) && !notForwarded.has(name) && !isForwardedBy(name);
  const { rawHeaders } = request;
  const kept = rawHeaders.flatMap((name, at) =>
    at % 2 === 0 && isKept(name.toLowerCase()) ? [name, rawHeaders[at + 1] ?? ""] : [],
  );
  return authorization === undefined ? kept : [...kept, "authorization", authorization];
}

const notForwarded = new Set(["host", "expect", "forwarded", "authorization"]);

function isForwardedBy(name: string): boolean {
  return name.startsWith("x-forwarded-");
}

/** Whether a request has a body, by RFC 9112 § 6.3. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
