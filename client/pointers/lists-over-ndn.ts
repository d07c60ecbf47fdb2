/**
 * Lists of a registry that is asked over HTTPS and over NDN; everything else is the upstream's.
 */
import { pipeline } from "node:stream/promises";
import { RegistryUnreachable } from "#oci/errors.ts";
import { sendUnavailable } from "../http/answers.ts";
import { isRead } from "../http/semantics.ts";
import type { RequestContext } from "../registries/router.ts";
import { hasBody, sentBy } from "../upstream/proxy-headers.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Ask } from "../upstream/upstream-question.ts";
import { listIn } from "./list-answers.ts";

/** The same upstream, whose lists are asked for as manifests are. */
export function withListsOverNdn<T extends Upstream>(upstream: T, ask: Ask): T {
  const pass: Upstream["pass"] = (context) => {
    const { request, url } = context;
    const isList = isRead(request.method) && !hasBody(request) && listIn(url) !== undefined;
    return isList ? passList(upstream, ask, context) : upstream.pass(context);
  };
  return { ...upstream, pass };
}

async function passList(upstream: Upstream, ask: Ask, context: RequestContext): Promise<number | undefined> {
  const { request, response, url, puller, signal } = context;
  const [list = ""] = url.split("?", 1);
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const { accept } = request.headers;
  try {
    const { status, headers, body } = await ask(
      { list, accept, puller, method, sent: sentBy(context), signal },
      "none",
    );
    response.writeHead(status, headers);
    response.flushHeaders();
    await pipeline(body, response);
    return status;
  } catch (err: unknown) {
    if (!(err instanceof RegistryUnreachable) || response.headersSent) response.destroy();
    else if (!signal.aborted) sendUnavailable(response, upstream.base, err);
    return undefined;
  }
}
