/**
 * Where pullers reach the endpoint: any number of addresses, whose connections all go to one HTTP server.
 */
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from "node:net";
import type { Logger } from "pino";
import { listenOnPath } from "#base/unix-socket.ts";
import { noteUnixPeer } from "../http/local-peer.ts";
import { responseBufferBytes } from "./limits.ts";

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
