/**
 * Who may look into the cache and change it: programs on this machine, and no web page that a browser here has open.
 */
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { isForwarded, isLocalPeer } from "./local-peer.ts";
import { isRead } from "./semantics.ts";

/** The header that every change needs: a page of another site cannot send it without being asked for first (CORS). */
export const adminHeader = "x-ndn-registry";

/** Why this request is refused; undefined when it may go on. */
export function refusalOf(request: IncomingMessage): string | undefined {
  const { headers, method } = request;
  if (isForwarded(headers)) return "not through a proxy, which may speak for anyone";
  if (!isLocalPeer(request)) return "only for programs on the machine that the endpoint runs on";
  // DNS rebinding: a page's own name leads to this machine, and to its browser the answer is the page's own.
  if (!isLoopbackHost(headers.host)) return "ask for it as localhost, 127.0.0.1 or [::1]";
  if (!isSameSite(headers)) return "not for pages of other sites";
  return isRead(method) || headers[adminHeader] === "1" ? undefined : "changes need the header X-Ndn-Registry: 1";
}

function isLoopbackHost(host: string | undefined): boolean {
  const [, name = ""] = /^(localhost|\d+\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i.exec(host ?? "") ?? [];
  return name.toLowerCase() === "localhost" || name === "[::1]" || (isIPv4(name) && name.startsWith("127."));
}

function isSameSite(headers: IncomingMessage["headers"]): boolean {
  // "none" is a person's own doing: an address typed in, a bookmark.
  if (!["same-origin", "none", undefined].includes(headers["sec-fetch-site"] as string | undefined)) return false;
  const { origin, host } = headers;
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}
