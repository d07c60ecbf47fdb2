/** What the relays of bytes for TCP have in common: two sockets for each connection, and the way up. */
import { connect, createServer, type Socket } from "node:net";
import { type Listening, listening } from "../listening.ts";

/**
 * Relay every connection to a target: what the client sends is passed on, the other direction is `relayDown`'s.
 *
 * @param wantedPort - On 127.0.0.1; 0 is a free one.
 */
export async function pipedRelay(
  target: { readonly host: string; readonly port: number },
  relayDown: (far: Socket, near: Socket) => void,
  wantedPort?: number,
): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ ...target, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    near.on("close", () => far.destroy());
    far.on("close", () => near.end());
    near.pipe(far);
    relayDown(far, near);
  });
  const hangUp = () => {
    for (const socket of sockets) socket.destroy();
  };
  return listening(server, hangUp, wantedPort);
}
