/**
 * The slow lane of an uplink: whatever the hot path does not take goes to an `@ndn` forwarder of our own, where
 * management commands and the like are ordinary NDNts code. It shares the uplink's one socket.
 */
import { randomBytes } from "node:crypto";
import { consume } from "@ndn/endpoint";
import { Forwarder, type FwFace } from "@ndn/fw";
import { L3Face, Transport } from "@ndn/l3face";
import { type Data, FwHint, Interest, Name as NdnName } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { pushable } from "@ndn/util";
import type { Face, PacketHandler } from "./face.ts";
import { interestLifetimeMs } from "./interest.ts";
import { type Name, nameKey } from "./name.ts";
import { nackReasons, type PacketView } from "./packet-view.ts";
import { raceAbort } from "./race-abort.ts";
import { TT } from "./tlv.ts";
import type { Uplink } from "./uplink.ts";

/** Packets that may wait for NDNts before more are dropped. */
const maxQueuedPackets = 256;

class HandedOver extends Transport {
  readonly incoming = pushable<Decoder.Tlv>();
  private readonly out: Face;
  queued = 0;

  constructor(out: Face) {
    super({ describe: `control of ${out.describe}`, local: out.isLocal });
    this.out = out;
  }

  get rx(): Transport.RxIterable {
    return this.drain();
  }

  private async *drain(): AsyncIterable<Decoder.Tlv> {
    for await (const packet of this.incoming) {
      this.queued--;
      yield packet;
    }
  }

  async tx(packets: Transport.TxIterable): Promise<void> {
    for await (const packet of packets) this.out.send(packet);
  }
}

/** NDNts on one face that is up. */
class ControlFace {
  readonly fw = Forwarder.create();
  private readonly transport: HandedOver;
  private readonly fwFace: FwFace;

  constructor(face: Face) {
    this.transport = new HandedOver(face);
    this.fwFace = this.fw.addFace(new L3Face(this.transport, { advertiseFrom: false }, { keepAlive: 0 }));
    this.fwFace.addRoute("/");
  }

  accept(view: PacketView): void {
    if (this.transport.queued >= maxQueuedPackets || view.type !== TT.Data) return;
    this.transport.queued++;
    const packet = Uint8Array.prototype.slice.call(view.buf, view.start, view.end);
    this.transport.incoming.push(new Decoder(packet).read());
  }

  close(): void {
    this.fwFace.close();
    this.transport.incoming.stop();
    this.fw.close();
  }
}

/** How something is asked. */
export interface Question {
  /** Only this very name will do, and it need not be fresh: its content never changes. @defaultValue false */
  readonly isExact?: boolean;
  readonly forwardingHint?: Name;
  /** Random ApplicationParameters make the name one that no cache can have an answer to. @defaultValue false */
  readonly isUnique?: boolean;
}

const parameterBytes = 16;

async function interestOf(name: Name, lifetimeMs: number, question: Question): Promise<Interest> {
  const interest = new Interest(new NdnName(name), Interest.Lifetime(lifetimeMs));
  interest.canBePrefix = interest.mustBeFresh = !question.isExact;
  if (question.forwardingHint) interest.fwHint = new FwHint(new NdnName(question.forwardingHint));
  if (question.isUnique) {
    interest.appParameters = randomBytes(parameterBytes);
    await interest.updateParamsDigest();
  }
  return interest;
}

/** The slow lane of one uplink; add it as the last handler, it takes every packet. */
export class ControlPlane implements PacketHandler {
  private current: ControlFace | undefined;
  /** Questions under way, with the name of each: a Nack ends all that ask for it, the end of the face ends all. */
  private readonly asking = new Map<AbortController, string>();

  constructor(uplink: Uplink) {
    uplink.addHandler(this);
    uplink.addListener({
      onUp: (face) => {
        this.current = new ControlFace(face);
      },
      onDown: (reason) => {
        this.current?.close();
        this.current = undefined;
        const err = new Error(`face went down: ${reason?.message ?? "closed"}`);
        for (const question of this.asking.keys()) question.abort(err);
      },
    });
  }

  /** For `consume`; undefined while the uplink is down. */
  get fw(): Forwarder | undefined {
    return this.current?.fw;
  }

  accept(view: PacketView): boolean {
    if (view.nackReason === undefined) this.current?.accept(view);
    else this.nacked(nameKey(view.buf, view.nameStart, view.nameEnd), view.nackReason);
    return true;
  }

  /**
   * Ask once-per-blob things: one Interest, retransmitted after each RTO until the deadline.
   * @throws Error when there is no answer within `timeoutMs`, the uplink is down, or `signal` fires.
   */
  async express(
    name: Name,
    rtoMs: number,
    timeoutMs: number,
    signal: AbortSignal,
    question: Question = {},
  ): Promise<Data> {
    const { fw } = this;
    if (fw === undefined) throw new Error("no face is up");
    const nack = new AbortController();
    this.asking.set(nack, nameKey(name)); // before anything is waited for: the face may go down meanwhile
    try {
      const interest = await interestOf(name, Math.max(timeoutMs, interestLifetimeMs), question);
      this.asking.set(nack, nameKey(Buffer.from(interest.name.value)));
      const intervals = Array.from({ length: Math.floor(timeoutMs / rtoMs) }, () => rtoMs);
      const deadline = AbortSignal.any([signal, nack.signal, AbortSignal.timeout(timeoutMs)]);
      deadline.throwIfAborted();
      return await raceAbort(consume(interest, { fw, signal: deadline, retx: () => intervals }), deadline);
    } finally {
      this.asking.delete(nack);
    }
  }

  /** "No route" is final for now; the other reasons say that asking again may help, which the retransmissions do. */
  private nacked(key: string, reason: number): void {
    if (nackReasons[reason] !== "NoRoute") return;
    for (const [nack, asked] of this.asking) {
      if (asked === key) nack.abort(new Error("Nack: the forwarder has no route"));
    }
  }
}
