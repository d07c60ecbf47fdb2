import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { listening } from "../listening.ts";

/** A SOCKS5 proxy with logins (RFC 1928, RFC 1929), for which every name is this machine. */
export interface SocksProxy extends AsyncDisposable {
  readonly port: number;
  /** What it was asked for, as `ann@registry.test`. */
  readonly seen: string[];
}

/** Start one on a free port. */
export async function startSocksProxy(): Promise<SocksProxy> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    serve(socket, seen, sockets).catch(() => socket.destroy());
  });
  const { port, close } = await listening(server, () => {
    for (const socket of sockets) socket.destroy();
  });
  return { port, seen, [Symbol.asyncDispose]: close };
}

// Each message of a client comes in one piece: it waits for the answer to the one before.
async function serve(socket: Socket, seen: string[], sockets: Set<Socket>): Promise<void> {
  const next = async () => ((await once(socket, "data")) as [Buffer])[0];
  await next();
  socket.write(Buffer.from([5, 2]));
  const login = await next();
  const user = login.toString("latin1", 2, 2 + login[1]!);
  socket.write(Buffer.from([1, 0]));
  const wanted = await next();
  const hostEnd = 5 + wanted[4]!;
  seen.push(`${user}@${wanted.toString("latin1", 5, hostEnd)}`);
  socket.pause();
  const onward = connect(wanted.readUInt16BE(hostEnd), "127.0.0.1", () => {
    socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
    pipeline(socket, onward, () => {});
    pipeline(onward, socket, () => {});
  });
  sockets.add(onward);
}
