/**
 * Why a connection failed, in words that say where to look, of HTTP, TLS and faces.
 */
import { causesOf, errorCode } from "./errors.ts";

/** What is said of one that ends a connection without an answer. */
export const closesConnection = "it closes the connection";

const reasonOfCode: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket: is what listens on it running?",
  EACCES: "this user may not open its socket",
  ECONNREFUSED: "nothing listens there (connection refused)",
  ENOTFOUND: "its host name is unknown",
  EAI_AGAIN: "its host name cannot be looked up now",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to its network",
  ECONNRESET: closesConnection,
  UND_ERR_SOCKET: closesConnection,
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

/** Why a connection failed, from the codes of the error and its causes; undefined when none is known. */
export function connectionReason(err: unknown): string | undefined {
  for (const cause of causesOf(err)) {
    const code = errorCode(cause);
    if (code?.startsWith("HPE_")) return "it does not speak HTTP: is it https://?";
    const reason = code === undefined ? undefined : reasonOfCode[code];
    if (reason !== undefined) return reason;
  }
  return undefined;
}
