/**
 * A bound on requests that one connection sends without waiting for answers (HTTP pipelining, RFC 9112 § 9.3.2). Node
 * hands all of them on at once, so that without it a single connection could start any number of fetches.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "pino";

/** So many requests of one connection may be unanswered: pullers do not pipeline at all. */
export const maxUnansweredRequests = 8;

const warnEveryMs = 60_000;

/**
 * A door that is passed by every request before any work is done for it. False when its connection has asked for too
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

  const count = (socket: Socket, change: 1 | -1): number => {
    const requests = (unanswered.get(socket) ?? 0) + change;
    unanswered.set(socket, requests);
    return requests;
  };
  const close = (socket: Socket) => {
    const { remoteAddress } = socket;
    socket.destroy();
    if (now() - warnedAtMs < warnEveryMs) return;
    warnedAtMs = now();
    log.warn({ remoteAddress, maxUnansweredRequests }, "connection closed: too many requests without an answer");
  };

  return ({ socket }, response) => {
    // Node goes on with the requests that it has read already.
    if (socket.destroyed) return false;
    if (count(socket, 1) > maxUnansweredRequests) close(socket);
    else response.once("close", () => count(socket, -1));
    return !socket.destroyed;
  };
}
