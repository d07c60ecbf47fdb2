/**
 * A face over a stream socket, unix or TCP: bytes in one direction are packets one after another.
 */
import type { Socket } from "node:net";
import { Face } from "./face.ts";
import { PacketScanner } from "./packet-scanner.ts";
import { PacketView } from "./packet-view.ts";
import { maxPacketBytes } from "./tlv.ts";

/** What happens on a face; `onClose` comes exactly once, with the reason unless `close()` was called. */
export interface FaceEvents {
  onPacket(view: PacketView, face: Face): void;
  onClose(reason: Error | undefined): void;
}

/** A face on a connected socket, which it owns. */
export class StreamFace extends Face {
  private readonly socket: Socket;

  constructor(socket: Socket, describe: string, isLocal: boolean, events: FaceEvents) {
    super(describe, isLocal);
    this.socket = socket;
    let reason: Error | undefined;
    const view = new PacketView();
    const scanner = new PacketScanner((buf, start, end) => {
      if (view.read(buf, start, end) && view.type !== 0 && !view.isFragment) events.onPacket(view, this);
    }, maxPacketBytes);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
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
    socket.on("close", () => events.onClose(reason));
  }

  close(): void {
    this.socket.end();
    this.socket.destroySoon();
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    this.socket.write(bytes, release);
  }

  protected setReading(reading: boolean): void {
    if (reading) this.socket.resume();
    else this.socket.pause();
  }
}
