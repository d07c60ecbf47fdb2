/**
 * Why a registry is of no use, in words that say where to look; from what a request for `/v2/` came to.
 */
import type { IncomingHttpHeaders } from "node:http";
import { closesConnection, connectionReason } from "#base/connection-reason.ts";
import { causesOf } from "#base/errors.ts";
import { redirectStatuses, webUrl } from "./redirect.ts";

/** What is wrong with a registry. */
export interface RegistryTrouble {
  /** What follows its name in a sentence: "cannot be reached: …", "answers 503". */
  readonly reason: string;
  /** Nothing can be pulled from it; else it only looks like none. */
  readonly isDown: boolean;
}

/** There was no answer. @param proxy - Through which the registry was asked. */
export function whyUnreachable(err: unknown, signal: AbortSignal, base: URL, proxy: URL | undefined): RegistryTrouble {
  const reason = signal.aborted ? "no answer in time" : (connectionReason(err) ?? innermost(err));
  // As some that speak TLS do when they hear something else.
  const hint = reason === closesConnection && base.protocol === "http:" ? ": is it https://?" : "";
  const where = proxy ? ` through the proxy ${proxy.host}` : "";
  return { reason: `cannot be reached${where}: ${reason}${hint}`, isDown: true };
}

/** What is wrong with an answer to `/v2/`; undefined when nothing is, whether it wants a login or not. */
export function whyNoRegistry(status: number, headers: IncomingHttpHeaders, base: URL): RegistryTrouble | undefined {
  if (status >= 500) return { reason: `answers ${status}`, isDown: true };
  const { location } = headers;
  const other = redirectStatuses.has(status) && location ? webUrl(location, new URL("/v2/", base).href) : undefined;
  if (base.protocol === "http:" && other?.protocol === "https:" && other.hostname === base.hostname)
    return { reason: `redirects to ${other.origin}: give that as its address`, isDown: false };
  // As Go's servers and nginx say that they speak TLS.
  if (base.protocol === "http:" && status === 400) return { reason: "answers 400: is it https://?", isDown: false };
  const isWebPage = String(headers["content-type"] ?? "").startsWith("text/html");
  if (status !== 404 && !(status === 200 && isWebPage)) return undefined;
  const what = isWebPage ? `${status} with a web page` : String(status);
  return { reason: `answers ${what} to /v2/: is it a registry?`, isDown: false };
}

function innermost(err: unknown): string {
  return causesOf(err).at(-1)?.message || "no connection";
}
