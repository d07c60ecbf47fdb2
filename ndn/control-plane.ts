/**
 * The control plane of an uplink: what no other handler takes goes to an `@ndn` forwarder of our own, where management commands
 * are ordinary NDNts code. It shares the uplink's one socket.
 */
import { Forwarder, type FwFace } from "@ndn/fw";
import { L3Face, Transport } from "@ndn/l3face";
import { Decoder } from "@ndn/tlv";
import { pushable } from "@ndn/util";
import type { Face, PacketHandler } from "./face/face.ts";
import type { Uplink } from "./face/uplink.ts";
import type { PacketView } from "./packet/packet-view.ts";
import { TT } from "./packet/tlv.ts";

/** Packets that may wait for NDNts before more are dropped. */
const maxQueuedPackets = 256;

class HandedOver extends Transport {
  readonly incoming = pushable<Decoder.Tlv>();
  readonly #out: Face;
  queued = 0;

  constructor(out: Face) {
    super({ describe: `control of ${out.describe}`, local: out.isLocal });
    this.#out = out;
  }

  get rx(): Transport.RxIterable {
    return this.#drain();
  }

  async *#drain(): AsyncIterable<Decoder.Tlv> {
    for await (const packet of this.incoming) {
      this.queued--;
      yield packet;
    }
  }

  async tx(packets: Transport.TxIterable): Promise<void> {
    for await (const packet of packets) this.#out.send(packet);
  }
}

/** NDNts on one face that is up. */
class ControlFace {
  readonly fw = Forwarder.create();
  readonly #transport: HandedOver;
  readonly #fwFace: FwFace;

  constructor(face: Face) {
    this.#transport = new HandedOver(face);
    this.#fwFace = this.fw.addFace(new L3Face(this.#transport, { advertiseFrom: false }, { keepAlive: 0 }));
    this.#fwFace.addRoute("/");
  }

  accept(view: PacketView): void {
    if (this.#transport.queued >= maxQueuedPackets || view.type !== TT.Data) return;
    this.#transport.queued++;
    const packet = Uint8Array.prototype.slice.call(view.buf, view.start, view.end);
    this.#transport.incoming.push(new Decoder(packet).read());
  }

  close(): void {
    this.#fwFace.close();
    this.#transport.incoming.stop();
    this.fw.close();
  }
}

/** The control plane of one uplink; add it as the last handler, it takes every packet. */
export class ControlPlane implements PacketHandler {
  #current: ControlFace | undefined;

  constructor(uplink: Uplink) {
    uplink.addHandler(this);
    uplink.addListener({
      onUp: (face) => {
        this.#current = new ControlFace(face);
      },
      onDown: () => {
        this.#current?.close();
        this.#current = undefined;
      },
    });
  }

  /** For commands; undefined while the uplink is down. */
  get fw(): Forwarder | undefined {
    return this.#current?.fw;
  }

  accept(view: PacketView): boolean {
    if (view.nackReason === undefined) this.#current?.accept(view);
    return true;
  }
}
