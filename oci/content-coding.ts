/** Content codings (RFC 9110 § 8.4): what a registry, or a proxy before it, may do to a body although none was asked for. */
import type { IncomingHttpHeaders } from "node:http";

/** Whether a body has other bytes than what it stands for: a digest and a length are of what is not encoded. */
export function isEncoded(headers: IncomingHttpHeaders): boolean {
  return (headers["content-encoding"] ?? "identity") !== "identity";
}
