/**
 * A link for TCP as `link-relay.ts` is one for NDN packets: a relay of bytes with propagation delay and a bottleneck
 * with a queue. What does not fit into the queue is not read yet, so nothing is lost.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Bottleneck, type BottleneckOptions } from "./bottleneck.ts";
import type { LinkWatcher } from "./link.ts";
import { coarseTick, fineTick, type Tick } from "./tick.ts";
import { Timetable } from "./timetable.ts";

/** One direction of a link. Reading stops while the queue is full. */
export interface ByteLinkOptions extends BottleneckOptions {
  /** Propagation delay, one way. @defaultValue 0 */
  readonly delayMs?: number;
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
  /** Whether the process is nothing but this relay, so that it may block it for a finer clock. @defaultValue false */
  readonly isAlone?: boolean;
  /** Watches the way down, where what it calls a packet is a piece of a stream. */
  readonly watcher?: LinkWatcher;
}

/** A running relay. */
export interface ByteRelay extends AsyncDisposable {
  readonly port: number;
}

/** Start the relay. */
export async function startByteRelay(options: ByteRelayOptions): Promise<ByteRelay> {
  const tick = options.isAlone ? fineTick((options.up.delayMs ?? 0) + (options.down.delayMs ?? 0)) : coarseTick;
  const up = { tick, bottleneck: new Bottleneck(), options: options.up };
  const down = { tick, bottleneck: new Bottleneck(), options: options.down, watcher: options.watcher };
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

/** What passes at once: a millisecond's worth, so that the far end sees a flow, but not less than a TCP segment. */
function pieceBytesAt({ bitsPerSecond = Number.POSITIVE_INFINITY }: ByteLinkOptions): number {
  return Math.round(Math.min(16_384, Math.max(1_448, bitsPerSecond / 8_000)));
}

/** What all connections share in one direction. */
interface Way {
  readonly tick: Tick;
  readonly bottleneck: Bottleneck;
  readonly options: ByteLinkOptions;
  readonly watcher?: LinkWatcher | undefined;
}

/** One direction of one connection. */
class Direction {
  private readonly from: Socket;
  private readonly to: Socket;
  private readonly way: Way;
  /** No piece is the end of the stream. */
  private readonly onTheWay = new Timetable<{ readonly piece: Buffer | undefined }>();
  private isTicking = false;

  constructor(from: Socket, to: Socket, way: Way) {
    this.from = from;
    this.to = to;
    this.way = way;
  }

  start(): void {
    const pieceBytes = pieceBytesAt(this.way.options);
    this.from.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += pieceBytes) this.schedule(chunk.subarray(at, at + pieceBytes));
      if (this.isFull()) this.from.pause();
    });
    this.from.on("end", () => this.schedule(undefined));
  }

  private isFull(): boolean {
    return this.way.bottleneck.isFull(performance.now(), this.way.options);
  }

  private schedule(piece: Buffer | undefined): void {
    const { bottleneck, options, watcher } = this.way;
    const now = performance.now();
    watcher?.queued(bottleneck.waitMs(now), now);
    const leftAtMs = bottleneck.pass(piece?.length ?? 0, now, options);
    this.onTheWay.enter(leftAtMs + (options.delayMs ?? 0), { piece });
    this.deliverLater();
  }

  private deliverLater(): void {
    if (this.isTicking || this.to.writableNeedDrain) return;
    this.isTicking = true;
    this.way.tick(() => this.deliver());
  }

  /** Whether it is to be called again. */
  private deliver(): boolean {
    const now = performance.now();
    if (this.to.destroyed) return false;
    for (let due = this.onTheWay.take(now); due !== undefined; due = this.onTheWay.take(now)) {
      if (due.piece === undefined) this.to.end();
      else this.write(due.piece, now);
      if (this.to.writableNeedDrain) break;
    }
    const isReaderSlow = this.to.writableNeedDrain;
    if (isReaderSlow) this.to.once("drain", () => this.deliverLater());
    if (!isReaderSlow && !this.isFull()) this.from.resume();
    const isMoreToCome = !this.onTheWay.isEmpty || this.from.isPaused();
    this.isTicking = !isReaderSlow && isMoreToCome;
    return this.isTicking;
  }

  private write(piece: Buffer, now: number): void {
    this.to.write(piece);
    this.way.watcher?.delivered(piece, now);
  }
}
