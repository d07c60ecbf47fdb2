/**
 * A relay of datagrams between one client and a UDP port, which loses, doubles and delays some. Everything random comes
 * from a seed.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { seededRandom } from "../seeded-random.ts";

/** Shares of the datagrams, 0 to 1, in both directions. */
export interface DatagramFaults {
  readonly loss?: number;
  readonly duplication?: number;
  /** Come behind later ones. */
  readonly reordering?: number;
}

/** A running relay. */
export interface DatagramRelay extends AsyncDisposable {
  /** UDP port of 127.0.0.1 that it listens on. */
  readonly port: number;
  /** From now on. */
  faults: DatagramFaults;
}

/** Start one in front of a port of 127.0.0.1. */
export async function startDatagramRelay(target: number, faults: DatagramFaults, seed: number): Promise<DatagramRelay> {
  const random = seededRandom(seed);
  const happens = (share = 0) => random() < share;
  const near = createSocket("udp4");
  const far = createSocket("udp4");
  near.bind(0, "127.0.0.1");
  far.connect(target, "127.0.0.1");
  await Promise.all([once(near, "listening"), once(far, "connect")]);
  for (const socket of [near, far]) {
    socket.on("error", () => undefined); // someone has gone
    socket.setRecvBufferSize(4 * 1024 * 1024);
  }
  let client: number | undefined;
  const toClient = (datagram: Buffer) => client !== undefined && near.send(datagram, client, "127.0.0.1");
  const relay = {
    port: near.address().port,
    faults,
    async [Symbol.asyncDispose]() {
      for (const socket of [near, far]) await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
  const pass = (socket: Socket, send: (datagram: Buffer) => unknown) => {
    socket.on("message", (datagram) => {
      const { loss, duplication, reordering } = relay.faults;
      if (happens(loss)) return;
      if (happens(reordering)) setImmediate(() => send(datagram));
      else send(datagram);
      if (happens(duplication)) send(datagram);
    });
  };
  near.on("message", (_, { port }) => {
    client = port;
  });
  pass(near, (datagram) => far.send(datagram));
  pass(far, toClient);
  return relay;
}
