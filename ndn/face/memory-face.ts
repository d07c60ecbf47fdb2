/**
 * Two faces joined in memory: both halves of the gateway in one process, without a forwarder.
 */

import { PacketScanner } from "../packet/packet-scanner.ts";
import { PacketView } from "../packet/packet-view.ts";
import { maxLinkPacketBytes } from "../packet/tlv.ts";
import { Face, type PacketHandler } from "./face.ts";
import type { FaceEvents } from "./stream-face.ts";
import { BaseUplink } from "./uplink.ts";

/** One end of the pair; what it sends arrives at the other in a later turn of the event loop, never at once. */
class MemoryFace extends Face {
  peer: MemoryFace | undefined;
  readonly #events: FaceEvents;
  readonly #view = new PacketView();
  readonly #scanner: PacketScanner;

  constructor(describe: string, events: FaceEvents) {
    super(describe, true);
    this.#events = events;
    this.#scanner = new PacketScanner((buf, start, end) => {
      if (this.#view.read(buf, start, end)) this.#events.onPacket(this.#view, this);
    }, maxLinkPacketBytes);
  }

  close(): void {
    const { peer } = this;
    if (peer === undefined) return;
    this.peer = undefined;
    peer.close();
    this.#events.onClose(undefined);
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    setImmediate(() => {
      if (this.peer) this.peer.#scanner.push(bytes);
      release();
    });
  }

  protected setReading(): void {
    // Nothing queues between the ends: each batch is taken whole, and the consumer's window bounds how many there are.
  }
}

/** An uplink in memory that leads straight to `handler`, a producer in the same process. */
export class MemoryUplink extends BaseUplink {
  readonly #handler: PacketHandler;

  constructor(handler: PacketHandler) {
    super("memory:", true);
    this.#handler = handler;
  }

  open(): void {
    const near = new MemoryFace("memory:client", {
      onPacket: (view, face) => this.offer(view, face),
      onClose: () => this.wentDown(undefined),
    });
    const far = new MemoryFace("memory:server", {
      onPacket: (view, face) => void this.#handler.accept(view, face),
      onClose: () => undefined,
    });
    near.peer = far;
    far.peer = near;
    this.wentUp(near);
  }

  close(): void {
    this.face?.close();
  }
}
