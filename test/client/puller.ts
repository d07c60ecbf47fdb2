import type { IncomingMessage, ServerResponse } from "node:http";
import { signalOf } from "#client/http/answers.ts";
import { forwardedHeaders } from "#client/http/semantics.ts";
import { type Puller, plain, type RequestContext } from "#client/registries/router.ts";

/** The puller that sends this Authorization, or none. */
export function by(authorization: string | undefined): Puller {
  return { auth: { kind: "puller", value: authorization }, identity: authorization };
}

/** A request as it came, in the name of its Authorization. */
export function contextFor(
  request: IncomingMessage,
  response: ServerResponse,
  registry = "registry.test",
): RequestContext {
  const { url = "", headers } = request;
  const puller = by(headers.authorization);
  return {
    request,
    response,
    url,
    headers: forwardedHeaders(request),
    askedAs: plain,
    registry,
    puller,
    signal: signalOf(response),
  };
}
