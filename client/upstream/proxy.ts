/**
 * Everything that is not a blob: passed to the upstream and back, streaming both ways.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import { Agent, type Dispatcher } from "undici";
import { raceAbort } from "#base/abort.ts";
import { reasonOf } from "#base/error-text.ts";
import { RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import { unreachable } from "#oci/foreign-errors.ts";
import { maxConnectionsPerOrigin, type RegistryClient } from "#oci/registry-client.ts";
import { sendError, upstreamUnavailable } from "../http/answers.ts";
import { endToEnd } from "../http/hop-by-hop.ts";
import { isRead } from "../http/methods.ts";
import { signalOf } from "../http/response-body.ts";
import { UpstreamLocation } from "../http/upstream-location.ts";
import type { Puller } from "../registries/puller.ts";
import type { AskedAs } from "../registries/router.ts";
import type { ClientMetrics } from "../status/metrics.ts";
import { upstreamErrorKind } from "../status/upstream-error.ts";
import { isPing, withoutChallenge } from "./no-challenges.ts";
import { hasBody, upstreamHeaders } from "./proxy-headers.ts";
import type { UpstreamReply } from "./upstream.ts";

/** Who asks, and how the registry was named; `request.url` is already the upstream's. */
export interface Asked {
  readonly puller: Puller;
  readonly askedAs: AskedAs;
}

/** The way to the upstream and back. */
export interface UpstreamProxy {
  /**
   * Ask the puller's own question, perhaps with another method, without its body.
   * @throws RegistryUnreachable when there is no answer.
   */
  readonly ask: (
    request: IncomingMessage,
    asked: Asked,
    options: { readonly method: "GET" | "HEAD"; readonly signal: AbortSignal },
  ) => Promise<UpstreamReply>;
  /** Answer with what the upstream answers; never rejects. Resolves to its status, undefined when there was no answer. */
  readonly forward: (request: IncomingMessage, response: ServerResponse, asked: Asked) => Promise<number | undefined>;
  /** Breaks off what is still running. */
  readonly close: () => Promise<void>;
}

/** What a proxy is made of; `registry` stays the caller's to close. */
export interface ProxyOptions {
  readonly upstream: URL;
  readonly registry: Pick<RegistryClient, "request">;
  readonly log: Logger;
  readonly metrics: ClientMetrics;
  /** Told of the answers that did not come through `registry`. */
  readonly onAnswer: (answer: { status: number; headers: IncomingHttpHeaders }) => void;
  /** Whether pullers have a login of this endpoint, and so must not answer the upstream's challenges. @defaultValue false */
  readonly hidesChallenges?: boolean | undefined;
  /** How long the upstream may take to begin its answer to a GET or HEAD. @defaultValue 60000 */
  readonly headersTimeoutMs?: number | undefined;
}

const connectTimeoutMs = 10_000;
const bodyTimeoutMs = 60_000;

export function createProxy(options: ProxyOptions): UpstreamProxy {
  const { upstream, registry, log, metrics, onAnswer, hidesChallenges = false, headersTimeoutMs = 60_000 } = options;
  const agent = new Agent({
    connectTimeout: connectTimeoutMs,
    bodyTimeout: bodyTimeoutMs,
    connections: maxConnectionsPerOrigin,
  });
  const location = new UpstreamLocation(upstream);

  /** As it is, but for whose name it is in: for everything that the gateway does not answer challenges to. */
  const askPlainly = async (request: IncomingMessage, { auth }: Puller, method: string, signal: AbortSignal) => {
    const options = {
      origin: upstream.origin,
      path: location.pathOf(request.url!),
      method: method as Dispatcher.HttpMethod,
      headers: upstreamHeaders(request, auth.value),
      signal,
      // undici would open a new connection after each HEAD.
      reset: false,
      // Sending a long upload would count, and a registry may move or hash all of it when it is committed: the bound is
      // the puller's own patience.
      headersTimeout: isRead(method) && !hasBody(request) ? headersTimeoutMs : 0,
    };
    const body = hasBody(request) && method === request.method ? bodyOf(request) : undefined;
    // undici looks at the signal only when it has a connection: an abort does not wait for that.
    const answer = await raceAbort(askOnceOrTwice(agent, options, body), signal);
    const { statusCode: status, headers, body: reply } = answer;
    onAnswer({ status, headers });
    return { status, headers, body: reply };
  };

  const reading = (request: IncomingMessage, { auth }: Puller, method: "GET" | "HEAD", signal: AbortSignal) => {
    const headers = joined(upstreamHeaders(request, undefined));
    return registry.request(method, request.url!, { auth, headers, signal, headersTimeoutMs });
  };

  const question = async (
    request: IncomingMessage,
    { puller, askedAs }: Asked,
    method: string,
    signal: AbortSignal,
  ) => {
    const answer =
      isRead(method) && !isLeftToPuller(request, puller)
        ? await reading(request, puller, method, signal)
        : await askPlainly(request, puller, method, signal);
    // A body that breaks off while nobody reads must not end the process.
    answer.body.on("error", () => {});
    const heard = hidesChallenges ? withoutChallenge(method, request.url!, answer) : answer;
    return { ...heard, headers: rewritten(endToEnd(heard.headers), location, endpointOf(request), askedAs) };
  };

  const ask: UpstreamProxy["ask"] = async (request, asked, { method, signal }) => {
    try {
      return await question(request, asked, method, signal);
    } catch (err: unknown) {
      signal.throwIfAborted();
      throw unreachable(`${method} ${upstream.origin}${request.url!.split("?", 1)[0]}`, err);
    }
  };

  const forward: UpstreamProxy["forward"] = async (request, response, asked) => {
    const signal = signalOf(response);
    try {
      const { status, headers, body } = await question(request, asked, request.method!, signal);
      response.writeHead(status, headers);
      response.flushHeaders();
      await pipeline(body, response);
      return status;
    } catch (err: unknown) {
      if (signal.aborted) return undefined;
      metrics.upstreamErrors.inc(upstreamErrorKind(err));
      const path = request.url?.split("?", 1)[0];
      const why = err instanceof RegistryUnreachable ? { reason: reasonOf(err) } : { err };
      log.warn({ ...why, method: request.method, path }, "upstream request failed");
      sendError(response, refusalFor(upstream, err));
      return undefined;
    } finally {
      // What the upstream left unread must not keep the puller from reading the answer.
      request.resume();
    }
  };
  return { ask, forward, close: () => agent.destroy() };
}

/**
 * What the upstream says to nobody in particular at `/v2/` tells the puller how to log in, so it goes through as it is;
 * unless the gateway has a login of its own. Then the puller needs none, and Docker for one sends none: asked for it here,
 * a puller without a login would have to reach the token service, and come back as nobody.
 */
function isLeftToPuller(request: IncomingMessage, { identity }: Puller): boolean {
  return hasBody(request) || (isPing(request.url!) && identity !== "gateway");
}

/** Lines of one header as one line (RFC 9110 § 5.3). */
function joined(headers: readonly string[]): Record<string, string> {
  const lines: Record<string, string> = {};
  for (let at = 0; at < headers.length; at += 2) {
    const [name, value] = [headers[at]!.toLowerCase(), headers[at + 1]!];
    lines[name] = lines[name] === undefined ? value : `${lines[name]}, ${value}`;
  }
  return lines;
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
    const isRepeatable = !body && isRead(options.method);
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
  askedAs: AskedAs,
): Record<string, string | string[]> {
  const { location: target, link } = headers;
  if (typeof target === "string") headers.location = location.rewrite(target, endpoint, askedAs);
  if (link !== undefined) headers.link = [link].flat().map((line) => location.rewriteLink(line, endpoint, askedAs));
  return headers;
}

function refusalFor(upstream: URL, err: unknown): RegistryError {
  const isOurs = (err as NodeJS.ErrnoException).code !== "UND_ERR_INVALID_ARG";
  return isOurs
    ? upstreamUnavailable(upstream, err)
    : new RegistryError("UNSUPPORTED", "this request cannot be forwarded", { status: 400, cause: err });
}
