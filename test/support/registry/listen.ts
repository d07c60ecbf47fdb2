/** An HTTP server on a loopback port that can be ended at once. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface Listening {
  port: number;
  /** Ends every connection, also those in the middle of an answer. */
  close(): Promise<void>;
}

export async function listen(port: number, onRequest: RequestListener): Promise<Listening> {
  const server = createServer(onRequest);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
