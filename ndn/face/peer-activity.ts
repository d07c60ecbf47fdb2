/**
 * What a peer does, as its socket tells when it is looked at every few seconds: nothing is counted per packet.
 */
import type { Socket } from "node:net";

/** How long a peer has been silent, and how long it has taken nothing, in looks. */
export class PeerActivity {
  /** Looks in a row at which something waited for the peer, of which it had taken nothing since the look before. */
  stuckLooks = 0;
  private readonly socket: Socket;
  private silentLooks = -1; // a peer that has just come may still speak
  private bytesRead = 0;
  private taken = "";

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Looks in a row by which the peer had sent nothing since the look before; 0 if it has sent anything since the last. */
  get quietLooks(): number {
    return this.socket.bytesRead === this.bytesRead ? this.silentLooks : 0;
  }

  look(): void {
    const { socket } = this;
    this.silentLooks = socket.bytesRead === this.bytesRead ? this.silentLooks + 1 : 0;
    this.bytesRead = socket.bytesRead;
    const taken = takenBy(socket);
    this.stuckLooks = socket.writableLength > 0 && taken === this.taken ? this.stuckLooks + 1 : 0;
    this.taken = taken;
  }
}

/**
 * Says something else whenever the kernel has taken more of what is written. A write of some megabytes to a slow peer
 * takes minutes, and only libuv's queue, by which Node's own timeouts go, tells that it makes progress.
 */
function takenBy(socket: Socket): string {
  const { _handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };
  return `${socket.bytesWritten - socket.writableLength} ${_handle?.writeQueueSize}`;
}
