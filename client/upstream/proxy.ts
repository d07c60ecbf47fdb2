/**
 * Everything that is not answered here: passed to the upstream and back, streaming both ways.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import type { Dispatcher } from "undici";
import { reasonOf } from "#base/errors.ts";
import { raceAbort } from "#base/waiting.ts";
import { isGateway } from "#oci/auth.ts";
import { RegistryError, RegistryUnreachable, unreachable } from "#oci/errors.ts";
import { redirectStatuses } from "#oci/redirect.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { isLostConnection, translateErrors } from "#oci/registry-http.ts";
import { sendError, sendUnavailable } from "../http/answers.ts";
import { endToEnd, isRead, joinedHeaders } from "../http/semantics.ts";
import { UpstreamLocation } from "../http/upstream-location.ts";
import { type Puller, plain } from "../registries/router.ts";
import type { ClientMetrics } from "../status/metrics.ts";
import { upstreamErrorKind } from "../status/upstream-answer.ts";
import { instead, isPing, withoutChallenge } from "./no-challenges.ts";
import { hasBody, sentBy } from "./proxy-headers.ts";
import type { Question, SentByPuller, Target, Upstream, UpstreamReply } from "./upstream.ts";

/** The path to the upstream and back. */
export interface UpstreamProxy extends Upstream {
  /** Breaks off what is still running. */
  readonly close: () => Promise<void>;
}

/** What a proxy is made of; `registry` stays the caller's to close. */
export interface ProxyOptions {
  readonly upstream: URL;
  readonly registry: Pick<RegistryClient, "request" | "openConnections">;
  readonly log: Logger;
  readonly metrics: ClientMetrics;
  /** Called with the answers that did not come through `registry`. */
  readonly onAnswer: (answer: { status: number; headers: IncomingHttpHeaders }) => void;
  /** Whether pullers have a login of this endpoint, and so must not answer the upstream's challenges. @defaultValue false */
  readonly hidesChallenges?: boolean | undefined;
}

export function createProxy(options: ProxyOptions): UpstreamProxy {
  const { upstream, registry, log, metrics, onAnswer, hidesChallenges = false } = options;
  // No one else could answer: the bound is the puller's own patience, or that of the one who asks.
  const connections = registry.openConnections();
  const dispatcher = connections.dispatcher.compose(translateErrors);
  const location = new UpstreamLocation(upstream);

  /** As it is, but for whose name it is in: for everything that the client does not answer challenges to. */
  const sendPlainly = async ({ method, url, sent, puller: { auth }, body, signal }: Outgoing) => {
    const options = {
      origin: upstream.origin,
      path: location.pathOf(url),
      method: method as Dispatcher.HttpMethod,
      headers: auth.value === undefined ? [...sent.headers] : [...sent.headers, "authorization", auth.value],
      signal,
      // undici would open a new connection after each HEAD.
      reset: false,
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    // undici looks at the signal only when it has a connection: an abort does not wait for that.
    const answer = await raceAbort(sendOnceOrTwice(dispatcher, options, body), signal);
    const { statusCode: status, headers, body: reply } = answer;
    onAnswer({ status, headers });
    return { status, headers, body: reply };
  };

  const send = async (outgoing: Outgoing): Promise<UpstreamReply> => {
    const { method, url, sent, puller, signal } = outgoing;
    const asked =
      isRead(method) && !isLeftToPuller(outgoing)
        ? registry.request(method, url, {
            auth: puller.auth,
            headers: joinedHeaders(sent.headers),
            patientWith: "answer",
            signal,
          })
        : sendPlainly(outgoing);
    const answer = await (hidesChallenges ? withoutChallenge(method, url, asked) : asked);
    // A body that breaks off before it is read must not end the process.
    answer.body.on("error", () => {});
    const headers = rewritten(endToEnd(answer.headers), location, sent);
    if (!redirectStatuses.has(answer.status)) return { ...answer, headers };
    // To the same request here, as from http to https: it would be redirected again and again.
    if (headers.location === location.rewrite(upstream.origin + location.pathOf(url), sent.endpoint, sent.askedAs))
      headers.location = String(answer.headers.location);
    const isElsewhere = leadsElsewhere(headers.location, sent.endpoint);
    return hidesChallenges && isElsewhere ? instead(method, url, answer) : { ...answer, headers };
  };

  const ask: Upstream["ask"] = async (question) => {
    const outgoing = outgoingOf(question);
    try {
      return await send(outgoing);
    } catch (err: unknown) {
      question.signal.throwIfAborted();
      throw unreachable(`${question.method} ${upstream.origin}${outgoing.url.split("?", 1)[0]}`, err);
    }
  };

  const pass: Upstream["pass"] = async (context) => {
    const { request, response, url, puller, signal } = context;
    const body = hasBody(request) ? bodyOf(request) : undefined;
    try {
      const outgoing = { method: request.method!, url, sent: sentBy(context), puller, body, signal };
      const { status, headers, body: reply } = await send(outgoing);
      response.writeHead(status, headers);
      response.flushHeaders();
      await pipeline(reply, response);
      return status;
    } catch (err: unknown) {
      if (signal.aborted) return undefined;
      metrics.upstreamErrors.inc(upstreamErrorKind(err));
      const why = err instanceof RegistryUnreachable ? { reason: reasonOf(err) } : { err };
      log.warn({ ...why, method: request.method, path: url.split("?", 1)[0] }, "upstream request failed");
      if ((err as NodeJS.ErrnoException).code === "UND_ERR_INVALID_ARG") sendError(response, notForwardable(err));
      else sendUnavailable(response, upstream, err);
      return undefined;
    } finally {
      // What the upstream left unread must not keep the puller from reading the answer.
      request.resume();
    }
  };
  return { base: upstream, ask, pass, close: () => connections.close() };
}

/** One request to the upstream. */
interface Outgoing {
  readonly method: string;
  /** Path and query, below the upstream's base. */
  readonly url: string;
  readonly sent: SentByPuller;
  readonly puller: Puller;
  readonly body?: Readable | undefined;
  readonly signal: AbortSignal;
}

function outgoingOf(question: Question): Outgoing {
  const { method, puller, accept, signal } = question;
  const headers = accept === undefined ? [] : ["accept", accept];
  const sent = question.sent ?? { headers, query: "", endpoint: undefined, askedAs: plain };
  return { method, url: pathOf(question) + sent.query, sent, puller, signal };
}

function pathOf(target: Target): string {
  if ("ping" in target) return target.ping;
  return "list" in target ? target.list : `/v2/${target.repository}/manifests/${target.reference}`;
}

/**
 * What the upstream says to anonymous pullers at `/v2/` tells the puller how to log in, so it goes through as it is;
 * unless the client has a login of its own. Then the puller needs none, and Docker for one sends none: asked for it here,
 * a puller without a login would have to reach the token service, and come back as anonymous.
 */
function isLeftToPuller({ url, body, puller }: Outgoing): boolean {
  return body !== undefined || (isPing(url) && !isGateway(puller.identity));
}

/** A connection that was kept alive may have died unseen: what can be repeated is asked once more. */
async function sendOnceOrTwice(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
  body: Readable | undefined,
): Promise<Dispatcher.ResponseData> {
  try {
    return await dispatcher.request({ ...options, body: body ?? null });
  } catch (err: unknown) {
    const isRepeatable = !body && isRead(options.method);
    if (!isRepeatable || !isLostConnection(err)) throw err;
    return dispatcher.request(options);
  }
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

function rewritten(
  headers: Record<string, string | string[]>,
  location: UpstreamLocation,
  { endpoint, askedAs }: SentByPuller,
): Record<string, string | string[]> {
  const { location: target, link } = headers;
  if (typeof target === "string") headers.location = location.rewrite(target, endpoint, askedAs);
  if (link !== undefined) headers.link = [link].flat().map((line) => location.rewriteLink(line, endpoint, askedAs));
  return headers;
}

/** Whether a redirect is followed at another host than this endpoint. */
function leadsElsewhere(reference: string | string[] | undefined, endpoint = "http://here.invalid"): boolean {
  return URL.parse(String(reference ?? ""), endpoint)?.origin !== endpoint;
}

function notForwardable(cause: unknown): RegistryError {
  return new RegistryError("UNSUPPORTED", "this request cannot be forwarded", { status: 400, cause });
}
