/**
 * Two faces joined in memory: server and client in one process, without a forwarder.
 */

import { PacketScanner, PacketView } from "../packet/packet-view.ts";
import { maxLinkPacketBytes } from "../packet/tlv.ts";
import { Face, type PacketHandler } from "./face.ts";
import type { OnFaceClose } from "./stream-face.ts";
import { BaseUplink } from "./uplink.ts";

/** One end of the pair; what it sends arrives at the other in a later turn of the event loop, never at once. */
class MemoryFace extends Face {
  peer: MemoryFace | undefined;
  readonly #onClose: OnFaceClose;
  readonly #view = new PacketView();
  readonly #scanner: PacketScanner;

  constructor(describe: string, handlers: readonly PacketHandler[], onClose: OnFaceClose) {
    super(describe, true, handlers);
    this.#onClose = onClose;
    this.#scanner = new PacketScanner((buf, start, end) => {
      if (this.#view.read(buf, start, end)) this.received(this.#view);
    }, maxLinkPacketBytes);
  }

  close(): void {
    const { peer } = this;
    if (peer === undefined) return;
    this.peer = undefined;
    peer.close();
    this.#onClose(undefined);
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    setImmediate(() => {
      const { peer } = this;
      if (peer) peer.#scanner.push(bytes);
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
    const near = new MemoryFace("memory:client", this.handlers, () => this.wentDown(undefined));
    const far = new MemoryFace("memory:server", [this.#handler], () => undefined);
    near.peer = far;
    far.peer = near;
    this.wentUp(near);
  }

  close(): void {
    this.face?.close();
  }
}
