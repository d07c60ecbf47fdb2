/**
 * Who may look into the cache and change it: programs on this machine, and no web page that a browser here has open.
 */
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { isRead } from "./semantics.ts";

/** The header that every change needs: a page of another site cannot send it without being asked for first (CORS). */
export const adminHeader = "x-ndn-registry";

/** Why this request is refused; undefined when it may go on. */
export function refusalOf({ socket, headers, method }: IncomingMessage): string | undefined {
  if (!isLoopbackAddress(socket.remoteAddress)) return "only for programs on the machine that the endpoint runs on";
  if (proxyHeaders.some((name) => headers[name] !== undefined))
    return "not through a proxy, which may speak for anyone";
  // DNS rebinding: a page's own name leads to this machine, and to its browser the answer is the page's own.
  if (!isLoopbackHost(headers.host)) return "ask for it as localhost, 127.0.0.1 or [::1]";
  if (!isSameSite(headers)) return "not for pages of other sites";
  return isRead(method) || headers[adminHeader] === "1" ? undefined : "changes need the header X-Ndn-Registry: 1";
}

const proxyHeaders = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

function isLoopbackAddress(address = ""): boolean {
  const bare = address.replace(/^::ffff:/i, "");
  return bare === "::1" || (isIPv4(bare) && bare.startsWith("127."));
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
