import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/** A server of a test's own that listens. */
export interface Listening {
  readonly port: number;
  /** Resolves when its last connection has ended. */
  readonly close: () => Promise<void>;
}

/**
 * Let a server listen on 127.0.0.1.
 *
 * @param hangUp - Ends the connections that are open when it closes.
 * @param wantedPort - 0 is a free one.
 */
export async function listening(server: Server, hangUp: () => void, wantedPort = 0): Promise<Listening> {
  server.listen(wantedPort, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    const closed = once(server, "close");
    server.close();
    hangUp();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, close };
}
