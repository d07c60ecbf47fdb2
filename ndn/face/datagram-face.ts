/**
 * A face over UDP: one packet a datagram, larger packets as NDNLPv2 fragments, so that IP never has to cut one up.
 */
import { PacketView } from "../packet/packet-view.ts";
import { readVarNumber, varNumberBytes } from "../packet/tlv.ts";
import { Face, type PacketHandler } from "./face.ts";
import { Fragmenter, maxFragmentsBytes } from "./fragmenter.ts";
import type { Reassembler } from "./reassembler.ts";
import type { OnFaceClose } from "./stream-face.ts";
import type { UdpAddress, UdpSocket } from "./udp-socket.ts";

/** What a face needs besides its handlers. */
export interface DatagramFaceParts {
  readonly socket: UdpSocket;
  /** The peer, if the socket is not connected to it. */
  readonly to?: UdpAddress;
  /** May be shared by the faces of one socket. */
  readonly reassembler: Reassembler;
  /** Bytes of a datagram at most, from 500. */
  readonly mtu: number;
  readonly describe: string;
  readonly isLocal: boolean;
}

/** Datagrams are read one at a time, by all faces together. */
const view = new PacketView();
/** Of the next face. */
let number = 0;

/** Whether there is a packet in a datagram, or a fragment of one. */
export function isPacket(datagram: Buffer): boolean {
  return view.read(datagram, 0, datagram.length) && view.end > view.start;
}

/** A face to one peer. Who opened the socket hands it what comes from there. */
export class DatagramFace extends Face {
  readonly #socket: UdpSocket;
  readonly #to: UdpAddress | undefined;
  readonly #reassembler: Reassembler;
  readonly #fragmenter: Fragmenter;
  readonly #mtu: number;
  readonly #number = number++;
  readonly #onClose: OnFaceClose;
  #isReading = true;

  /** @param onClose - Is told to close the socket if it was only there for this face. */
  constructor(parts: DatagramFaceParts, handlers: readonly PacketHandler[], onClose: OnFaceClose) {
    super(parts.describe, parts.isLocal, handlers);
    this.#socket = parts.socket;
    this.#to = parts.to;
    this.#reassembler = parts.reassembler;
    this.#mtu = parts.mtu;
    this.#fragmenter = new Fragmenter(parts.mtu);
    this.#onClose = onClose;
  }

  /** Of all faces of the socket. */
  override get fragmentLoss(): number {
    return this.#reassembler.loss;
  }

  /** Take a datagram that has come from the peer. */
  receive(datagram: Buffer): void {
    // While too much waits to leave, it is lost as in the full queue of a router: no one can hold back UDP.
    if (this.isGone || !this.#isReading) return;
    if (!view.read(datagram, 0, datagram.length)) return;
    if (view.isFragment && !this.#reassembler.accept(view, this.#number)) return;
    if (view.type !== 0) this.received(view);
  }

  close(): void {
    this.end(undefined);
  }

  /** Close it for this reason. */
  end(reason: Error | undefined): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#onClose(reason);
  }

  /** The kernel mostly has taken a batch when `transmit` returns; only where it has no room is a batch held. */
  protected override get copiedBelowBytes(): number {
    return this.#socket.isWaiting ? super.copiedBelowBytes : 0;
  }

  /** Behind all datagrams that have arrived: each comes in a turn of its own, and the peer need not be woken for each. */
  protected override atEndOfTurn(flush: () => void): void {
    setImmediate(flush);
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    if (this.isGone || this.#socket.isFull) {
      release();
      return;
    }
    let at = 0;
    while (at < bytes.length) {
      const end = at + 1 + varNumberBytes(bytes, at + 1) + readVarNumber(bytes, at + 1, bytes.length);
      const done = end === bytes.length ? release : undefined;
      if (end - at <= this.#mtu) this.#socket.send(bytes, at, end, this.#to, done);
      else this.#sendFragments(bytes, at, end, done);
      at = end;
    }
  }

  protected setReading(isReading: boolean): void {
    this.#isReading = isReading;
  }

  #sendFragments(packet: Buffer, start: number, end: number, done: (() => void) | undefined): void {
    const socket = this.#socket;
    let at = socket.reserve(maxFragmentsBytes);
    const { buffer } = socket;
    const behind = this.#fragmenter.write(packet, start, end, buffer, at);
    while (at < behind) {
      const next = Math.min(behind, at + this.#mtu);
      socket.send(buffer, at, next, this.#to, next === behind ? done : undefined);
      at = next;
    }
  }
}
