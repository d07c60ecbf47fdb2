/**
 * Who may come in at all: everyone, or those with a login of the endpoint.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { RegistryError } from "#oci/errors.ts";
import { sendError } from "../http/answers.ts";
import { type BasicAuth, LoginsBusy } from "./basic-auth.ts";

/** Lets a request in, or answers it. */
export type LoginGate = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

const challenge = 'Basic realm="ndn-registry"';

/**
 * True when the request may go on, and then it has no Authorization any more: that was for this endpoint and must go
 * nowhere else. False when it has been answered. `/healthz` is open, so that a supervisor needs no login.
 */
export function createLoginGate(auth: Pick<BasicAuth, "check">, log: Pick<Logger, "error">): LoginGate {
  return async (request, response) => {
    if (/^\/healthz(?:\?|$)/.test(request.url ?? "")) return true;
    try {
      if (await auth.check(request.headers.authorization, request.socket.remoteAddress)) {
        withoutAuthorization(request);
        return true;
      }
      response.setHeader("www-authenticate", challenge);
      refuse(request, response, new RegistryError("UNAUTHORIZED", "this endpoint needs a login (docker login)"));
    } catch (err: unknown) {
      const isBusy = err instanceof LoginsBusy;
      if (!isBusy) log.error({ err }, "logins cannot be checked");
      response.setHeader("retry-after", "1");
      const message = isBusy ? err.message : "logins cannot be checked now";
      refuse(request, response, new RegistryError("UNAVAILABLE", message, { cause: err }));
    }
    return false;
  };
}

// No one reads the body of a request that was turned away: the connection ends with the answer.
function refuse(request: IncomingMessage, response: ServerResponse, err: RegistryError): void {
  const hasBody = request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"]) > 0;
  if (hasBody) response.setHeader("connection", "close");
  sendError(response, err);
}

function withoutAuthorization(request: IncomingMessage): void {
  // Before rawHeaders: Node makes these two of it when they are first asked for.
  delete request.headers.authorization;
  delete request.headersDistinct.authorization;
  const { rawHeaders } = request;
  request.rawHeaders = rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]!.toLowerCase() !== "authorization");
}
