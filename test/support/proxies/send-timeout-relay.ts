/** A relay of bytes for TCP that gives up a client that takes nothing for a while, as reverse proxies do. */
import type { Socket } from "node:net";
import { pipedRelay } from "../link/piped-relay.ts";

/** Options of {@link startSendTimeoutRelay}. */
export interface SendTimeoutRelayOptions {
  /** Port of 127.0.0.1 that the relay connects to for every connection. */
  readonly targetPort: number;
  /** Port of 127.0.0.1 that it listens on. @defaultValue a free one */
  readonly port?: number;
  /** How long it tries to send before it closes the connection (nginx: `send_timeout`). */
  readonly sendTimeoutMs: number;
}

/** A running relay. */
export interface SendTimeoutRelay extends AsyncDisposable {
  readonly port: number;
  readonly counters: SendTimeoutCounters;
}

/** What it did so far. */
export interface SendTimeoutCounters {
  connections: number;
  /** Connections that it has closed because of their clients. */
  cut: number;
}

/** Start the relay. */
export async function startSendTimeoutRelay(options: SendTimeoutRelayOptions): Promise<SendTimeoutRelay> {
  const counters = { connections: 0, cut: 0 };
  const { port, close } = await pipedRelay(
    { host: "127.0.0.1", port: options.targetPort },
    (far, near) => {
      counters.connections += 1;
      relayDown(far, near, options.sendTimeoutMs, () => (counters.cut += 1));
    },
    options.port,
  );
  return { port, counters, [Symbol.asyncDispose]: close };
}

function relayDown(far: Socket, near: Socket, sendTimeoutMs: number, onCut: () => void): void {
  let late: NodeJS.Timeout | undefined;
  const cut = () => {
    onCut();
    near.destroy();
  };
  far.on("data", (piece: Buffer) => {
    if (near.write(piece)) return;
    far.pause();
    clearTimeout(late);
    late = setTimeout(cut, sendTimeoutMs);
  });
  near.on("drain", () => {
    clearTimeout(late);
    far.resume();
  });
  near.on("close", () => clearTimeout(late));
}
