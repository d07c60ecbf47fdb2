import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An upstream whose answers a test writes itself. */
export interface RawUpstream extends AsyncDisposable {
  readonly url: URL;
  readonly seen: IncomingMessage[];
}

/** Start one on a free port, under `basePath`. */
export async function startUpstream(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  basePath = "/",
): Promise<RawUpstream> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { url: new URL(`http://127.0.0.1:${port}${basePath}`), seen, [Symbol.asyncDispose]: close };
}
