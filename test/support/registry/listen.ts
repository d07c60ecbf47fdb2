/** An HTTP server on a loopback port that can be ended at once. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface Listening {
  port: number;
  /** Ends the connections that no request is under way on. */
  closeIdle(): void;
  /** Ends every connection, also those in the middle of an answer. */
  close(): Promise<void>;
}

export async function listen(port: number, onRequest: RequestListener): Promise<Listening> {
  const server = createServer(onRequest);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    closeIdle: () => server.closeIdleConnections(),
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
