/**
 * Who may see the status page. It names repositories and pullers, on the listener that everyone pulls from.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLocalPeer } from "../http/local-peer.ts";

/** The listener's login, where it has one. */
export interface StatusLogin {
  /** Whether this Authorization header is that of a user. */
  admits(authorization: string): Promise<boolean> | boolean;
  /** For `WWW-Authenticate`. */
  readonly challenge: string;
}

/** Rules of access; the defaults are the narrow ones. */
export interface StatusAccess {
  /** `local`: peers on this machine, and those who can log in. @defaultValue local */
  readonly statusFor?: "local" | "everyone" | undefined;
  /** Names besides `localhost` and IP addresses by which the page may be asked for. @defaultValue none */
  readonly hostNames?: readonly string[] | undefined;
  readonly login?: StatusLogin | undefined;
}

/** Why a request is not answered. */
export interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly text: string;
  readonly challenge?: string;
}

/** Judge a request for the page; undefined lets it in. */
export async function refusalOf(request: IncomingMessage, access: StatusAccess): Promise<Refusal | undefined> {
  const { statusFor = "local", hostNames = [], login } = access;
  if (!isKnownHost(request.headers.host, hostNames)) return wrongHost;
  if (statusFor === "everyone" || isLocalPeer(request)) return undefined;
  if (!login) return notLocal;
  const { authorization } = request.headers;
  const isUser = authorization !== undefined && (await login.admits(authorization));
  return isUser ? undefined : { status: 401, text: "the status page needs a login", challenge: login.challenge };
}

const wrongHost: Refusal = {
  status: 421,
  text: "the status page is not served under this host name: use localhost or the IP address",
};

const notLocal: Refusal = {
  status: 403,
  text: "the status page is for the machine that the gateway runs on",
};

/**
 * Whether `Host` cannot have been chosen by a foreign web page: with DNS rebinding its own name leads to this listener,
 * and the browser would let it read the answer.
 */
function isKnownHost(host: string | undefined, names: readonly string[]): boolean {
  const url = host === undefined || /[/?#@\\\s]/.test(host) ? null : URL.parse(`http://${host}/`);
  if (!url) return false;
  const name = url.hostname.replace(/\.$/, "");
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0) return true;
  return name === "localhost" || name.endsWith(".localhost") || names.some((known) => known.toLowerCase() === name);
}
