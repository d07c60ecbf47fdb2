/**
 * Why a registry is of no use, in words that say where to look; from what a request for `/v2/` came to.
 */
import type { IncomingHttpHeaders } from "node:http";

/** What is wrong with a registry. */
export interface RegistryTrouble {
  /** What follows its name in a sentence: "cannot be reached: …", "answers 503". */
  readonly reason: string;
  /** Nothing can be pulled from it; else it only looks like none. */
  readonly isDown: boolean;
}

const reasonOfCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there (connection refused)",
  ENOTFOUND: "its host name is unknown",
  EAI_AGAIN: "its host name cannot be looked up now",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to its network",
  ECONNRESET: "it closes the connection",
  UND_ERR_SOCKET: "it closes the connection",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  ETIMEDOUT: "no connection in time",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed and not trusted here",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of an authority that is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is of an authority that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is of an authority that is not trusted here",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
  EPROTO: "it does not speak TLS: is it http://?",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: is it http://?",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS: is it http://?",
};

/** There was no answer. */
export function whyUnreachable(err: unknown, signal: AbortSignal): RegistryTrouble {
  return { reason: `cannot be reached: ${signal.aborted ? "no answer in time" : reasonOf(err)}`, isDown: true };
}

function reasonOf(err: unknown): string {
  const causes = [...causesOf(err)];
  for (const { code } of causes) {
    const reason = typeof code === "string" ? reasonOfCode[code] : undefined;
    if (reason !== undefined) return reason;
    if (typeof code === "string" && code.startsWith("HPE_")) return "it does not speak HTTP: is it https://?";
  }
  return causes.at(-1)?.message || "no connection";
}

/** What is wrong with an answer to `/v2/`; undefined when nothing is, whether it wants a login or not. */
export function whyNoRegistry(status: number, headers: IncomingHttpHeaders): RegistryTrouble | undefined {
  if (status >= 500) return { reason: `answers ${status}`, isDown: true };
  const isWebPage = String(headers["content-type"] ?? "").startsWith("text/html");
  if (status !== 404 && !(status === 200 && isWebPage)) return undefined;
  const what = isWebPage ? `${status} with a web page` : String(status);
  return { reason: `answers ${what} to /v2/: is it a registry?`, isDown: false };
}

// An error may be its own cause; none is nested deeper by accident.
const maxDepth = 8;

function* causesOf(err: unknown): Generator<NodeJS.ErrnoException> {
  let next = err;
  for (let depth = 0; depth < maxDepth && next instanceof Error; depth++) {
    yield next;
    next = next instanceof AggregateError ? next.errors[0] : next.cause;
  }
}
