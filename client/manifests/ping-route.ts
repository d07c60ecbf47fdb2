/**
 * `/v2/`, the first request of every puller: while the upstream does not answer it, as it answered before.
 */
import type { OutgoingHttpHeaders } from "node:http";
import { RegistryUnreachable } from "#oci/errors.ts";
import { PullerGone, sendUnavailable, writeAll } from "../http/answers.ts";
import { isRead } from "../http/semantics.ts";
import type { RequestContext } from "../registries/router.ts";
import { hasBody, sentBy } from "../upstream/proxy-headers.ts";
import type { Upstream, UpstreamReply } from "../upstream/upstream.ts";
import { type Ask, discard, isFailure } from "../upstream/upstream-question.ts";
import { staleHeaders, staleWarning } from "./from-cache.ts";
import type { ManifestCache, PingAnswer } from "./manifest-cache.ts";
import type { AnswerEvents, ManifestRights } from "./manifest-request.ts";

/** What the ping route uses of one registry. */
export interface PingServices extends Omit<AnswerEvents, "onManifest"> {
  /** For what is not answered here. */
  readonly upstream: Pick<Upstream, "base" | "pass">;
  readonly cache: Pick<ManifestCache, "knows" | "ping" | "sawPing">;
  readonly rights: Pick<ManifestRights, "offline" | "isKnown">;
  /** Whether pullers have a login of this endpoint, and so must not answer the upstream's challenges. @defaultValue false */
  readonly hidesChallenges?: boolean | undefined;
  /** Whether manifests may come over NDN while the upstream cannot be reached. @defaultValue false */
  readonly hasFallback?: boolean | undefined;
}

/** A request for `/v2/`. */
export type PingHandler = (context: RequestContext) => Promise<void>;

/**
 * The handler of `/v2/`; it always ends or breaks off the response, and never rejects.
 *
 * @param ask - As for `createManifestRoute`.
 */
export function createPingRoute(services: PingServices, ask: Ask): PingHandler {
  const { upstream, log, onUpstreamError } = services;

  const answer = async (context: RequestContext) => {
    const { request, response, url, puller, signal } = context;
    const method = request.method === "HEAD" ? "HEAD" : "GET";
    const [path = ""] = url.split("?", 1);
    const { accept } = request.headers;
    const inItsPlace = pingFor(services, context) ? "cache" : "none";
    try {
      const reply = await ask({ ping: path, accept, puller, method, sent: sentBy(context), signal }, inItsPlace);
      if (!isFailure(reply.status)) return await pass(services, context, reply);
      onUpstreamError?.(reply.status);
      const ping = pingFor(services, context, reply.status);
      if (!ping) return await pass(services, context, reply);
      discard(reply.body);
      replay(services, context, ping, reply.status);
    } catch (err: unknown) {
      if (!(err instanceof RegistryUnreachable) || response.headersSent) throw err;
      onUpstreamError?.(err);
      const ping = pingFor(services, context, err);
      if (!ping) return sendUnavailable(response, upstream.base, err);
      replay(services, context, ping, err);
    }
  };

  return async (context) => {
    const { request, response, signal } = context;
    if (!isRead(request.method) || hasBody(request)) return void (await upstream.pass(context));
    try {
      await answer(context);
    } catch (err: unknown) {
      if (signal.aborted || err instanceof PullerGone) return void response.destroy();
      log.warn({ err }, "ping failed");
      if (response.headersSent) response.destroy();
      else await upstream.pass(context);
    }
  };
}

const openPing: PingAnswer = { status: 200, challenges: [] };

/**
 * What the puller gets in the upstream's place; undefined when nothing may be served. A puller that needs a login
 * elsewhere in this registry only sends it when it is asked to, so the challenge goes before a 200; but where the
 * registry is out of reach its token service may be as well, and then those who need no login must not be sent there.
 */
function pingFor(
  { cache, rights, hidesChallenges, hasFallback = false }: PingServices,
  { registry, puller: { identity } }: RequestContext,
  failure?: number | RegistryUnreachable,
): PingAnswer | undefined {
  if (rights.offline === "nobody" || !(hasFallback || cache.knows(registry))) return undefined;
  if (hidesChallenges) return openPing; // also where a challenge was remembered before the endpoint had logins
  const isOutOfReach = typeof failure !== "number";
  if (rights.offline === "anyone" && isOutOfReach) return openPing;
  if (identity !== undefined && rights.isKnown(identity)) return openPing;
  const last = cache.ping(registry) ?? openPing;
  // What is public comes over NDN; but a login that needs no token service may be one that is known.
  return hasFallback && isOutOfReach && !last.challenges.some((one) => /^basic\b/i.test(one)) ? openPing : last;
}

function replay(
  services: PingServices,
  { request, response, registry }: RequestContext,
  answer: PingAnswer,
  failure: number | RegistryUnreachable,
): void {
  const { status, challenges } = answer;
  const rest = answer === services.cache.ping(registry) ? "what it answered last" : "an answer in its place";
  const body = status === 200 ? "{}" : challengeBody;
  const headers: OutgoingHttpHeaders = {
    ...staleHeaders(staleWarning(registry, failure, `this is ${rest}`), Date.now()),
    "content-type": "application/json",
    "content-length": body.length,
    ...(challenges.length > 0 && { "www-authenticate": [...challenges] }),
  };
  response.writeHead(status, headers).end(request.method === "HEAD" ? undefined : body);
  services.onAnswer?.("ping", "stale");
}

const challengeBody = JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] });

async function pass(
  services: PingServices,
  { request, response, registry, puller, signal }: RequestContext,
  { status, headers, body }: UpstreamReply,
): Promise<void> {
  const isAnonymous = request.headers.authorization === undefined && puller.identity === undefined;
  if (isAnonymous && (status === 200 || status === 401)) {
    // Several WWW-Authenticate lines may come as an array, or joined.
    services.cache.sawPing(registry, { status, challenges: [headers["www-authenticate"] ?? []].flat() });
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
