/**
 * A link for TCP as `link-relay.ts` is one for NDN packets: a relay of bytes with propagation delay and a bottleneck
 * with a queue. What does not fit into the queue is not read yet, so nothing is lost.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** One direction of a link. */
export interface ByteLinkOptions {
  /** Propagation delay, one way. @defaultValue 0 */
  readonly delayMs?: number;
  /** Rate of the bottleneck in bits per second, for all connections together. @defaultValue unlimited */
  readonly bitsPerSecond?: number;
  /** Bytes that wait for the bottleneck before reading stops. @defaultValue 256 KiB */
  readonly queueBytes?: number;
}

/** Options of {@link startByteRelay}. */
export interface ByteRelayOptions {
  /** Port of 127.0.0.1 that the relay connects to for every connection. */
  readonly targetPort: number;
  /** Port of 127.0.0.1 that it listens on. @defaultValue a free one */
  readonly port?: number;
  /** From the listener's client to the target, and back. */
  readonly up: ByteLinkOptions;
  readonly down: ByteLinkOptions;
}

/** A running relay. */
export interface ByteRelay extends AsyncDisposable {
  readonly port: number;
}

/** Start the relay. */
export async function startByteRelay(options: ByteRelayOptions): Promise<ByteRelay> {
  const [up, down] = [new Bottleneck(options.up), new Bottleneck(options.down)];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: options.targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", (hadError) => {
        sockets.delete(socket);
        if (!hadError && socket.readableEnded) return; // its end is still on the way to the other side
        near.destroy();
        far.destroy();
      });
    }
    new Direction(near, far, up).start();
    new Direction(far, near, down).start();
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The rate that all connections share. */
class Bottleneck {
  private readonly options: ByteLinkOptions;
  /** When it will have sent everything that is queued now. */
  private freeAtMs = 0;

  constructor(options: ByteLinkOptions) {
    this.options = options;
  }

  /** When these bytes come out at the other end. */
  arrivesAtMs(bytes: number): number {
    const { bitsPerSecond = Number.POSITIVE_INFINITY, delayMs = 0 } = this.options;
    this.freeAtMs = Math.max(performance.now(), this.freeAtMs) + (bytes * 8000) / bitsPerSecond;
    return this.freeAtMs + delayMs;
  }

  get isFull(): boolean {
    const { bitsPerSecond = Number.POSITIVE_INFINITY, queueBytes = 256 * 1024 } = this.options;
    return this.freeAtMs - performance.now() > (queueBytes * 8000) / bitsPerSecond;
  }
}

/** Small enough that the far end sees a flow rather than gulps: 1.3 ms at 100 Mbit/s. */
const pieceBytes = 16_384;

interface Scheduled {
  readonly atMs: number;
  /** Undefined is the end of the stream. */
  readonly piece: Buffer | undefined;
}

/** One direction of one connection. */
class Direction {
  private readonly from: Socket;
  private readonly to: Socket;
  private readonly bottleneck: Bottleneck;
  private readonly scheduled: Scheduled[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, bottleneck: Bottleneck) {
    this.from = from;
    this.to = to;
    this.bottleneck = bottleneck;
  }

  start(): void {
    this.from.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += pieceBytes) this.schedule(chunk.subarray(at, at + pieceBytes));
      if (this.bottleneck.isFull) this.from.pause();
    });
    this.from.on("end", () => this.schedule(undefined));
    this.to.once("close", () => clearTimeout(this.timer));
  }

  private schedule(piece: Buffer | undefined): void {
    this.scheduled.push({ atMs: this.bottleneck.arrivesAtMs(piece?.length ?? 0), piece });
    this.timer ??= setTimeout(() => this.deliver(), 1);
  }

  private deliver(): void {
    this.timer = undefined;
    const now = performance.now();
    while (this.scheduled.length > 0 && this.scheduled[0]!.atMs <= now && !this.to.destroyed) {
      const { piece } = this.scheduled.shift()!;
      if (piece === undefined) this.to.end();
      else this.to.write(piece);
    }
    const isReaderSlow = this.to.writableNeedDrain;
    if (isReaderSlow) this.to.once("drain", () => this.deliver());
    if (!isReaderSlow && !this.bottleneck.isFull) this.from.resume();
    const isMoreToCome = this.scheduled.length > 0 || this.from.isPaused();
    if (!isReaderSlow && isMoreToCome && !this.to.destroyed) this.timer ??= setTimeout(() => this.deliver(), 1);
  }
}
