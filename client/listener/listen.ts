/**
 * Where pullers reach the endpoint: any number of addresses, whose connections all go to one HTTP server, and bounds on
 * what connections may cost, so that idle, slow, pipelining and too many pullers do no harm to the others.
 */
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import type { Server as HttpServer, IncomingMessage, ServerOptions, ServerResponse } from "node:http";
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from "node:net";
import type { Logger } from "pino";
import { listenOnPath } from "#base/unix-socket.ts";
import { noteUnixPeer } from "../http/local-peer.ts";

/** An address of this machine, or the path of a socket file. An empty host stands for all addresses, port 0 for a free one. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** `127.0.0.1:5000`, `:5000`, `[::1]:5000` or `unix:///run/client.sock`, as it was given. */
export function formatAddress(address: ListenAddress): string {
  if ("path" in address) return `unix://${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only this machine can reach the address. */
export function isLocalAddress(address: ListenAddress): boolean {
  return "path" in address || /^(?:127\.|::1$|localhost$)/.test(address.host);
}

/** An address that cannot be listened on; `cause` is what the system says. */
export class ListenFailed extends Error {
  override readonly name = "ListenFailed";
  readonly address: ListenAddress;

  constructor(address: ListenAddress, cause: unknown) {
    super(`cannot listen on ${formatAddress(address)}`, { cause });
    this.address = address;
  }
}

/** Sockets that are listened on. */
export interface Listening {
  /** `http://127.0.0.1:5000` or `unix:///run/client.sock`, in the order of the addresses; all addresses are named as loopback. */
  readonly urls: readonly string[];
  /** Accept nothing more; resolves when the last connection has ended. */
  close(): Promise<void>;
}

/** What listening needs besides. */
export interface ListenOptions {
  /** Whether a connection is taken; it is closed at once if not. */
  readonly admits: (socket: Socket) => boolean;
  readonly isTls: boolean;
  readonly log: Pick<Logger, "error">;
}

/** A socket file is for its owner and group: who else may use it is decided by its directory and by whose group it is. */
const socketMode = 0o660;

/**
 * Listen on all addresses, each once, and hand their connections to `server`, which listens on none itself (that its
 * `connection` event may be emitted is documented).
 *
 * @throws ListenFailed when one of them cannot be listened on; then none is.
 */
export async function listenOn(
  server: HttpServer,
  addresses: readonly ListenAddress[],
  options: ListenOptions,
): Promise<Listening> {
  const opened: Server[] = [];
  const urls: string[] = [];
  const close = async () => void (await Promise.all(opened.map(closed)));
  try {
    for (const address of new Map(addresses.map((one) => [formatAddress(one), one])).values()) {
      const listeners = await open(address, server, options);
      opened.push(...listeners);
      urls.push(urlOf(listeners[0]!, options.isTls));
    }
  } catch (err: unknown) {
    await close();
    throw err;
  }
  server.emit("listening"); // from then on it looks for connections that are too slow
  return { urls, close };
}

async function open(address: ListenAddress, server: HttpServer, options: ListenOptions): Promise<Server[]> {
  const listeners: Server[] = [];
  try {
    if ("path" in address) {
      const listener = acceptFor(server, options, noteUnixPeer);
      await listenOnPath(listener, address.path, socketMode);
      return [listener];
    }
    for (const host of await hostsOf(address.host)) {
      const listener = acceptFor(server, options);
      listener.listen(portOf(listeners[0]) ?? address.port, host);
      await once(listener, "listening");
      listeners.push(listener);
    }
    return listeners;
  } catch (err: unknown) {
    await Promise.all(listeners.map(closed));
    throw new ListenFailed(address, err);
  }
}

/** `localhost` is each of its addresses: pullers try one or the other first. Without a host Node takes all of the machine. */
async function hostsOf(host: string): Promise<(string | undefined)[]> {
  if (host !== "localhost") return [host || undefined];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** A listener as Node makes it for its own HTTP servers. */
function acceptFor(
  server: HttpServer,
  { admits, isTls, log }: ListenOptions,
  onConnection?: (socket: Socket) => void,
): Server {
  const sockets = {
    allowHalfOpen: !isTls,
    noDelay: true,
    // Pullers that vanished without a word are found.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    highWaterMark: responseBufferBytes,
  };
  const listener = createServer(sockets, (socket) => {
    if (!admits(socket)) return void socket.destroy();
    onConnection?.(socket);
    server.emit("connection", socket);
  });
  // Out of descriptors, for example: one puller is not served, the others are. Errors before that are the caller's.
  listener.once("listening", () => listener.on("error", (err) => log.error({ err }, "accepting a connection failed")));
  return listener;
}

async function closed(listener: Server): Promise<void> {
  if (!listener.listening) return;
  listener.close();
  await once(listener, "close");
}

function portOf(listener: Server | undefined): number | undefined {
  return (listener?.address() as AddressInfo | undefined)?.port;
}

function urlOf(listener: Server, isTls: boolean): string {
  const address = listener.address()!;
  if (typeof address === "string") return `unix://${address}`;
  const isAny = address.address === "::" || address.address === "0.0.0.0";
  const host = isAny ? "127.0.0.1" : address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${isTls ? "https" : "http"}://${host}:${address.port}`;
}

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
