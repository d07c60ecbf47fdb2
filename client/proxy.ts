/**
 * Everything that is not a blob: passed to the upstream and back, streaming both ways.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import { Agent, type Dispatcher } from "undici";
import { RegistryError } from "#oci/errors.ts";
import { sendError, upstreamUnavailable } from "./answers.ts";
import { endToEnd } from "./hop-by-hop.ts";
import type { ClientMetrics } from "./metrics.ts";
import { hasBody, upstreamHeaders } from "./proxy-headers.ts";
import { signalOf } from "./response-body.ts";
import { upstreamErrorKind } from "./status/upstream-error.ts";
import { UpstreamLocation } from "./upstream-location.ts";

/** The way to the upstream and back. */
export interface Proxy {
  /** Answer with what the upstream answers; never rejects. */
  readonly forward: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** Breaks off what is still running. */
  readonly close: () => Promise<void>;
}

const connectTimeoutMs = 10_000;
const headersTimeoutMs = 60_000;
const bodyTimeoutMs = 60_000;

export function createProxy(upstream: URL, log: Logger, metrics: ClientMetrics): Proxy {
  const agent = new Agent({ connectTimeout: connectTimeoutMs, bodyTimeout: bodyTimeoutMs });
  const location = new UpstreamLocation(upstream);

  const ask = (request: IncomingMessage, signal: AbortSignal) => {
    const options = {
      origin: upstream.origin,
      path: location.pathOf(request.url!),
      method: request.method as Dispatcher.HttpMethod,
      headers: upstreamHeaders(request),
      signal,
      // undici would open a new connection after each HEAD.
      reset: false,
      // The time in which a long upload is sent would count; the puller's own patience is its bound.
      headersTimeout: hasBody(request) ? 0 : headersTimeoutMs,
    };
    return askOnceOrTwice(agent, options, hasBody(request) ? bodyOf(request) : undefined);
  };

  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const signal = signalOf(response);
    try {
      const answer = await ask(request, signal);
      const headers = rewritten(endToEnd(answer.headers), location, endpointOf(request));
      response.writeHead(answer.statusCode, headers);
      response.flushHeaders();
      await pipeline(answer.body, response);
    } catch (err: unknown) {
      if (signal.aborted) return;
      metrics.upstreamErrors.inc(upstreamErrorKind(err));
      log.warn({ err, method: request.method, path: request.url?.split("?", 1)[0] }, "upstream request failed");
      sendError(response, refusalFor(upstream, err));
    } finally {
      // What the upstream left unread must not keep the puller from reading the answer.
      request.resume();
    }
  };
  return { forward, close: () => agent.destroy() };
}

/** A connection that was kept alive may have died unseen: what can be repeated is asked once more. */
async function askOnceOrTwice(
  agent: Agent,
  options: Dispatcher.RequestOptions,
  body: Readable | undefined,
): Promise<Dispatcher.ResponseData> {
  try {
    return await agent.request({ ...options, body: body ?? null });
  } catch (err: unknown) {
    const isRepeatable = !body && (options.method === "GET" || options.method === "HEAD");
    if (!isRepeatable || !isLostConnection(err)) throw err;
    return agent.request(options);
  }
}

function isLostConnection(err: unknown): boolean {
  const { code } = err as NodeJS.ErrnoException;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

// undici destroys a body that it no longer wants, and with the request itself would go the connection to the puller.
function bodyOf(request: IncomingMessage): Readable {
  const body = new PassThrough();
  body.on("error", () => {}); // undici reports it
  request.once("close", () => {
    if (!request.readableEnded) body.destroy();
  });
  return request.pipe(body);
}

function endpointOf({ headers, socket }: IncomingMessage): string | undefined {
  const scheme = "encrypted" in socket ? "https" : "http";
  return headers.host === undefined ? undefined : `${scheme}://${headers.host}`;
}

function rewritten(
  headers: Record<string, string | string[]>,
  location: UpstreamLocation,
  endpoint: string | undefined,
): Record<string, string | string[]> {
  const { location: target, link } = headers;
  if (typeof target === "string") headers.location = location.rewrite(target, endpoint);
  if (link !== undefined) headers.link = [link].flat().map((line) => location.rewriteLink(line, endpoint));
  return headers;
}

function refusalFor(upstream: URL, err: unknown): RegistryError {
  const isOurs = (err as NodeJS.ErrnoException).code !== "UND_ERR_INVALID_ARG";
  return isOurs
    ? upstreamUnavailable(upstream, err)
    : new RegistryError("UNSUPPORTED", "this request cannot be forwarded", { status: 400, cause: err });
}
