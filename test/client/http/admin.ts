import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Send a request with exactly these headers, `Host` included; the caller reads or destroys the answer. */
export async function begin(base: URL, path: string, options: AskOptions = {}): Promise<IncomingMessage> {
  const { method = "GET", headers = {} } = options;
  const sent = request({ host: base.hostname, port: base.port, path, method, headers: { ...headers }, agent: false });
  sent.end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer;
}

/** Send a request and read the whole answer. */
export async function ask(base: URL, path: string, options: AskOptions = {}) {
  const answer = await begin(base, path, options);
  return { status: answer.statusCode!, headers: answer.headers, body: await text(answer) };
}

/** The same app, as a peer at another address sees it. */
export async function beginWith(app: FastifyInstance, remoteAddress: string) {
  const server = createServer((incoming, response) => {
    Object.defineProperty(incoming.socket, "remoteAddress", { value: remoteAddress });
    app.routing(incoming, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), [Symbol.asyncDispose]: close };
}
