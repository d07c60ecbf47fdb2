/**
 * Whether a request comes from this machine.
 */
import type { IncomingMessage } from "node:http";
import { isIPv4, type Socket } from "node:net";

const unixPeers = new WeakSet<Socket>();

/** Note that a connection has come over a unix socket. That it has no address proves nothing: a broken one has none either. */
export function noteUnixPeer(socket: Socket): void {
  unixPeers.add(socket);
}

/** Whether the peer is on this machine, by its address or over a unix socket, and not a proxy there that speaks for another. */
export function isLocalPeer({ socket, headers }: Pick<IncomingMessage, "socket" | "headers">): boolean {
  return (unixPeers.has(socket) || isLoopback(socket.remoteAddress)) && !isForwarded(headers);
}

/** Whether a proxy has passed the request on: it may speak for anyone. */
export function isForwarded(headers: IncomingMessage["headers"]): boolean {
  return proxyHeaders.some((name) => headers[name] !== undefined);
}

const proxyHeaders = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

function isLoopback(address = ""): boolean {
  const bare = address.replace(/^::ffff:/i, "");
  return bare === "::1" || (isIPv4(bare) && bare.startsWith("127."));
}
