import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { listening } from "../listening.ts";

/** An HTTP proxy, for which every name is this machine. */
export interface TestProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: URL;
  /** What it was asked, as `GET http://registry.test/v2/` or `CONNECT registry.test:443`. */
  readonly seen: { readonly line: string; readonly headers: IncomingHttpHeaders }[];
}

/** Start one on a free port. @param answer - Status for a request that it does not pass on; undefined to pass it on. */
export async function startProxy(answer: () => number | undefined = () => undefined): Promise<TestProxy> {
  const seen: TestProxy["seen"] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, outgoing) => {
    const { method, url = "", headers } = incoming;
    seen.push({ line: `${method} ${url}`, headers });
    const status = answer();
    if (status !== undefined) return void outgoing.writeHead(status).end();
    const { port, pathname, search } = new URL(url);
    const maxHeaderSize = 256 * 1024;
    const onward = request({
      maxHeaderSize,
      host: "127.0.0.1",
      port,
      path: pathname + search,
      method,
      headers: incoming.rawHeaders,
    });
    onward.on("response", (reply) => {
      outgoing.writeHead(reply.statusCode!, reply.rawHeaders);
      pipeline(reply, outgoing, () => {});
    });
    pipeline(incoming, onward, () => {});
  });
  server.on("connection", (socket) => sockets.add(socket));
  server.on("connect", ({ url = "", headers }, socket: Socket) => {
    seen.push({ line: `CONNECT ${url}`, headers });
    const status = answer();
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    const onward = connect(Number(url.split(":").at(-1)), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      pipeline(socket, onward, () => {});
      pipeline(onward, socket, () => {});
    });
    onward.on("error", () => socket.destroy());
    sockets.add(onward);
  });
  const { port, close } = await listening(server, () => {
    for (const socket of sockets) socket.destroy();
  });
  return { url: new URL(`http://127.0.0.1:${port}`), seen, [Symbol.asyncDispose]: close };
}
