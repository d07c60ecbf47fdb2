/**
 * Bounds on what connections may cost, so that idle, slow, pipelining and too many pullers do no harm to the others.
 */
import type { IncomingMessage, ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "pino";

/** For `fastify({ http: … })`, or beside certificate and key for `fastify({ https: … })`. */
export const connectionLimits = {
  // Tokens of large registries go beyond Node's 16 KiB.
  maxHeaderSize: 32 * 1024,
  // A connection has this long to send the headers of a request, also of its first.
  headersTimeout: 60_000,
  connectionsCheckingInterval: 5_000,
} as const satisfies ServerOptions;

/** Larger pieces per write(2); also what may wait in memory for a slow puller. */
export const responseBufferBytes = 256 * 1024;

/**
 * How long a connection may be idle between requests, for `fastify({ keepAliveTimeout })`: longer than Go's 90 seconds,
 * so that the puller closes first and never sends a request into a closing connection.
 */
export const keepAliveTimeoutMs = 100_000;

/** What `--max-connections` is unless set. */
export const defaultMaxConnections = 1024;

/** So many requests of one connection may be unanswered: pullers do not pipeline at all. */
export const maxUnansweredRequests = 8;

const warnEveryMs = 60_000;

/**
 * A bound on connections, for `listenOn`: says of each that comes whether it is taken, and counts it until it closes.
 *
 * @param onDropped - Called for each that is not, for the metrics.
 */
export function limitConnections(
  maxConnections: number,
  log: Pick<Logger, "warn">,
  onDropped: () => void = () => {},
  now: () => number = () => performance.now(),
): (socket: Socket) => boolean {
  let [open, dropped] = [0, 0];
  let warnedAtMs = Number.NEGATIVE_INFINITY;
  const drop = () => {
    dropped++;
    onDropped();
    if (now() - warnedAtMs < warnEveryMs) return;
    log.warn({ maxConnections, dropped }, "connections are turned away: raise --max-connections");
    warnedAtMs = now();
    dropped = 0;
  };
  return (socket) => {
    const isTaken = open < maxConnections;
    if (!isTaken) drop();
    else {
      open++;
      socket.once("close", () => open--);
    }
    return isTaken;
  };
}

/**
 * A bound on requests that one connection sends without waiting for answers (HTTP pipelining, RFC 9112 § 9.3.2). Node
 * hands all of them on at once, so that without it a single connection could start any number of fetches.
 *
 * To be called with every request before any work is done for it. False when its connection has asked for too
 * much and is closed: then nothing is to be done, and what was begun for the same connection breaks off with it.
 *
 * A request counts until its response is complete, so that a connection may have any number of them in turn.
 */
export function boundPipelining(
  log: Pick<Logger, "warn">,
  now: () => number = () => performance.now(),
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const unanswered = new WeakMap<Socket, number>();
  let warnedAtMs = Number.NEGATIVE_INFINITY;

  const close = (socket: Socket) => {
    const { remoteAddress } = socket;
    socket.destroy();
    if (now() - warnedAtMs < warnEveryMs) return;
    warnedAtMs = now();
    log.warn({ remoteAddress, maxUnansweredRequests }, "connection closed: too many requests without an answer");
  };

  return ({ socket }, response) => {
    // Node continues with the requests that it has read already.
    if (socket.destroyed) return false;
    const requests = (unanswered.get(socket) ?? 0) + 1;
    unanswered.set(socket, requests);
    if (requests > maxUnansweredRequests) close(socket);
    else response.once("close", () => unanswered.set(socket, unanswered.get(socket)! - 1));
    return !socket.destroyed;
  };
}
