/**
 * A face over a stream socket, unix or TCP: bytes in one direction are packets one after another.
 */
import { connect, type Socket } from "node:net";
import { PacketScanner, PacketView } from "../packet/packet-view.ts";
import { maxLinkPacketBytes } from "../packet/tlv.ts";
import { Face, type PacketHandler } from "./face.ts";

/** Called exactly once when a face is closed, with the reason unless `close()` was called. */
export type OnFaceClose = (reason: Error | undefined) => void;

/** Bytes taken from the kernel at a time. */
const readBytes = 256 * 1024;
const keepAliveMs = 15_000;
/** What is still to be sent gets this long after `close`: a peer that has stopped reading would hold it for ever. */
const lingerMs = 1_000;

/**
 * Connect a socket that reads into one buffer again and again.
 *
 * Hot path: a new buffer for every read would make 100 MB of garbage out of a blob of 100 MB, and the collector stop
 * the process every 64 MB (`npm run bench`, row "server, ndnd, client").
 */
export function connectReusing(where: { path: string } | { host: string; port: number }): FaceSocket {
  const taker: { take?: (chunk: Buffer) => void } = {};
  const socket = connect({
    ...where,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback(bytes: number, buf: Uint8Array): boolean {
        taker.take?.(Buffer.from(buf.buffer, buf.byteOffset, bytes));
        return true;
      },
    },
  });
  const onData = (take: (chunk: Buffer) => void) => {
    taker.take = take;
  };
  return { socket, onData };
}

/** A socket, and how to be given what it reads; a chunk is only valid during the call. */
export interface FaceSocket {
  readonly socket: Socket;
  onData(take: (chunk: Buffer) => void): void;
}

/** A face on a connected socket, which it owns. */
export class StreamFace extends Face {
  readonly #socket: Socket;

  constructor(
    from: FaceSocket,
    describe: string,
    isLocal: boolean,
    handlers: readonly PacketHandler[],
    onClose: OnFaceClose,
  ) {
    super(describe, isLocal, handlers);
    const { socket } = from;
    this.#socket = socket;
    let reason: Error | undefined;
    const view = new PacketView();
    const scanner = new PacketScanner((buf, start, end) => {
      if (view.read(buf, start, end) && view.type !== 0 && !view.isFragment) this.received(view);
    }, maxLinkPacketBytes);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs); // a peer that has lost power says no goodbye
    from.onData((chunk) => {
      try {
        scanner.push(chunk);
      } catch (err: unknown) {
        reason = err as Error;
        socket.destroy();
      }
    });
    socket.on("error", (err) => {
      reason ??= err;
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      this.isGone = true;
      onClose(reason);
    });
    socket.resume();
  }

  close(): void {
    this.#socket.end();
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    this.#socket.write(bytes, release);
  }

  protected setReading(reading: boolean): void {
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }
}
