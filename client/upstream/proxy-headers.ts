import type { IncomingMessage } from "node:http";
import { connectionHeaders } from "../http/semantics.ts";
import type { RequestContext } from "../registries/router.ts";
import type { SentByPuller } from "./upstream.ts";

/** What a puller's request says to the upstream, as data. */
export function sentBy({ request, url, askedAs }: Pick<RequestContext, "request" | "url" | "askedAs">): SentByPuller {
  const { host } = request.headers;
  const scheme = "encrypted" in request.socket ? "https" : "http";
  const query = url.indexOf("?");
  return {
    headers: headersOf(request),
    query: query < 0 ? "" : url.slice(query),
    endpoint: host === undefined ? undefined : `${scheme}://${host}`,
    askedAs,
  };
}

/**
 * In order and with repeats. Host is the upstream's, Authorization is said by who asks, Expect has been answered here.
 * What says how the puller came here would make the upstream write its Locations for another address.
 */
function headersOf(request: IncomingMessage): string[] {
  const isOfConnection = connectionHeaders(request.headers.connection);
  const isKept = (name: string) => !isOfConnection(name) && !notForwarded.has(name) && !isForwardedBy(name);
  const { rawHeaders } = request;
  return rawHeaders.flatMap((name, at) =>
    at % 2 === 0 && isKept(name.toLowerCase()) ? [name, rawHeaders[at + 1] ?? ""] : [],
  );
}

const notForwarded = new Set(["host", "expect", "forwarded", "authorization"]);

function isForwardedBy(name: string): boolean {
  return name.startsWith("x-forwarded-");
}

/** Whether a request has a body, by RFC 9112 § 6.3. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
