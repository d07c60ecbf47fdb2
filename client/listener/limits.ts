/**
 * Bounds on what connections may cost, so that idle, slow and too many pullers do no harm to the others.
 */
import type { ServerOptions } from "node:http";
import type { Server } from "node:net";
import type { Logger } from "pino";

/** For `fastify({ http: … })`, or beside certificate and key for `fastify({ https: … })`. */
export const connectionLimits = {
  // Tokens of large registries go beyond Node's 16 KiB.
  maxHeaderSize: 32 * 1024,
  // A connection has this long to send the headers of a request, also of its first.
  headersTimeout: 60_000,
  connectionsCheckingInterval: 5_000,
  // Pullers that vanished without a word are found.
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const satisfies ServerOptions;

/**
 * How long a connection may be idle between requests, for `fastify({ keepAliveTimeout })`: longer than Go's 90 seconds,
 * so that the puller closes first and never sends a request into a closing connection.
 */
export const keepAliveTimeoutMs = 100_000;

/** What `--max-connections` is unless set. */
export const defaultMaxConnections = 1024;

const warnEveryMs = 60_000;

/**
 * Accept no more than `maxConnections` at a time; one too many is closed at once.
 *
 * @param onDropped - Called for each, for the metrics.
 */
export function limitConnections(
  server: Server,
  maxConnections: number,
  log: Pick<Logger, "warn">,
  onDropped: () => void = () => {},
  now: () => number = () => performance.now(),
): void {
  server.maxConnections = maxConnections;
  let dropped = 0;
  let warnedAtMs = Number.NEGATIVE_INFINITY;
  server.on("drop", () => {
    dropped++;
    onDropped();
    if (now() - warnedAtMs < warnEveryMs) return;
    log.warn({ maxConnections, dropped }, "connections are turned away: raise --max-connections");
    warnedAtMs = now();
    dropped = 0;
  });
}
