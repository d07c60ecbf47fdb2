/**
 * `/v2/`, the first question of every puller: while the upstream does not answer it, as it answered before.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { RegistryUnreachable } from "#oci/errors.ts";
import { sendError, upstreamUnavailable } from "../http/answers.ts";
import { PullerGone, signalOf, writeAll } from "../http/response-body.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { type Ask, askOf, discard, isFailure } from "../upstream/upstream-question.ts";
import { staleHeaders, staleWarning } from "./from-cache.ts";
import type { PingAnswer } from "./manifest-cache.ts";
import { credentialOf } from "./manifest-request.ts";
import type { ManifestServices } from "./ports.ts";

/**
 * The handler of `/v2/`; it always ends or breaks off the response, and never rejects.
 *
 * @param ask - As for `createManifestRoute`.
 */
export function createPingRoute(
  services: ManifestServices,
  ask: Ask = askOf(services),
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { upstream, log, onUpstreamError } = services;

  const answer = async (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => {
    const method = request.method === "HEAD" ? "HEAD" : "GET";
    const inItsPlace = services.rights.offline === "nobody" ? "nobody" : "memory";
    try {
      const reply = await ask({ request, method, signal, inItsPlace });
      if (!isFailure(reply.status)) return await pass(services, request, response, signal, reply);
      onUpstreamError?.(reply.status);
      const ping = pingFor(services, credentialOf(services, request), reply.status);
      if (!ping) return await pass(services, request, response, signal, reply);
      discard(reply.body);
      replay(services, request, response, ping, reply.status);
    } catch (err: unknown) {
      if (!(err instanceof RegistryUnreachable) || response.headersSent) throw err;
      onUpstreamError?.(err);
      const ping = pingFor(services, credentialOf(services, request), err);
      if (!ping) return sendError(response, upstreamUnavailable(upstream.base, err));
      replay(services, request, response, ping, err);
    }
  };

  return async (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return upstream.pass(request, response);
    const signal = signalOf(response);
    try {
      await answer(request, response, signal);
    } catch (err: unknown) {
      if (signal.aborted || err instanceof PullerGone) return void response.destroy();
      log.warn({ err }, "ping failed");
      if (response.headersSent) response.destroy();
      else await upstream.pass(request, response);
    }
  };
}

const openPing: PingAnswer = { status: 200, challenges: [] };

/**
 * What the puller hears in the upstream's place; undefined when nothing may be served. A puller that needs a login
 * elsewhere in this registry only sends it when it is asked to, so the challenge goes before a 200; but where the
 * registry is out of reach its token service may be as well, and then those who need no login must not be sent there.
 */
function pingFor(
  { cache, registry, rights, hidesChallenges }: ManifestServices,
  credential: string | undefined,
  failure: number | RegistryUnreachable,
): PingAnswer | undefined {
  if (rights.offline === "nobody" || !cache.knows(registry)) return undefined;
  if (hidesChallenges) return openPing; // also where a challenge was remembered before the endpoint had logins
  const isOutOfReach = typeof failure !== "number";
  if (rights.offline === "anyone" && isOutOfReach) return openPing;
  if (credential !== undefined && rights.isKnown(credential)) return openPing;
  return cache.ping(registry) ?? openPing;
}

function replay(
  services: ManifestServices,
  request: IncomingMessage,
  response: ServerResponse,
  { status, challenges }: PingAnswer,
  failure: number | RegistryUnreachable,
): void {
  const body = status === 200 ? "{}" : challengeBody;
  const headers: OutgoingHttpHeaders = {
    ...staleHeaders(staleWarning(services.registry, failure, "this is what it answered last")),
    "content-type": "application/json",
    "content-length": body.length,
    ...(challenges.length > 0 && { "www-authenticate": [...challenges] }),
  };
  response.writeHead(status, headers).end(request.method === "HEAD" ? undefined : body);
  services.onAnswer?.("ping", "stale");
}

const challengeBody = JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] });

async function pass(
  services: ManifestServices,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
  { status, headers, body }: UpstreamReply,
): Promise<void> {
  const isAnonymous = request.headers.authorization === undefined && credentialOf(services, request) === undefined;
  if (isAnonymous && (status === 200 || status === 401)) {
    // Several WWW-Authenticate lines may come as an array, or joined.
    services.cache.sawPing(services.registry, { status, challenges: [headers["www-authenticate"] ?? []].flat() });
  }
  response.writeHead(status, headers);
  services.onAnswer?.("ping", "upstream");
  if (request.method === "HEAD" || status === 204 || status === 304) {
    discard(body);
    return void response.end();
  }
  response.flushHeaders();
  await writeAll<Buffer>(
    response,
    body,
    (chunk) => chunk,
    () => {},
    signal,
  );
}
