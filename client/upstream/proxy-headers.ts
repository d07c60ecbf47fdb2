import type { IncomingMessage } from "node:http";
import { queryOf } from "../http/semantics.ts";
import type { RequestContext } from "../registries/router.ts";
import type { SentByPuller } from "./upstream.ts";

/** What a puller's request says to the upstream, as data. */
export function sentBy({ request, url, headers, askedAs }: RequestContext): SentByPuller {
  const { host } = request.headers;
  const scheme = "encrypted" in request.socket ? "https" : "http";
  return { headers, query: queryOf(url), endpoint: host === undefined ? undefined : `${scheme}://${host}`, askedAs };
}

/** Whether a request has a body, by RFC 9112 § 6.3. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
