/**
 * A face over UDP: one packet a datagram, larger packets as NDNLPv2 fragments. Correct rather than fast: everything
 * about fragments is left to `@ndn/lp`.
 */
import { Fragmenter, LpPacket, Reassembler } from "@ndn/lp";
import type { UdpTransport } from "@ndn/node-transport";
import { Decoder, Encoder } from "@ndn/tlv";
import { pushable } from "@ndn/util";
import { PacketView } from "../packet/packet-view.ts";
import { readVarNumber, TT, tlv, varNumberBytes } from "../packet/tlv.ts";
import { Face, type PacketHandler } from "./face.ts";
import type { OnFaceClose } from "./stream-face.ts";

/** Datagrams that may wait for the socket; above it the oldest packets' successors are dropped, as a router would. */
const maxQueuedDatagrams = 4096;
/** Partly received packets kept at a time. */
const reassemblerCapacity = 64;

/** A face on a UDP transport, which it owns. */
export class DatagramFace extends Face {
  readonly #transport: UdpTransport;
  readonly #outgoing = pushable<Uint8Array>();
  readonly #fragmenter = new Fragmenter();
  readonly #reassembler = new Reassembler(reassemblerCapacity);
  readonly #view = new PacketView();
  readonly #onClose: OnFaceClose;
  #queued = 0;
  #closed = false;

  constructor(
    transport: UdpTransport,
    describe: string,
    isLocal: boolean,
    handlers: readonly PacketHandler[],
    onClose: OnFaceClose,
  ) {
    super(describe, isLocal, handlers);
    this.#transport = transport;
    this.#onClose = onClose;
    transport.tx(this.#countDown(this.#outgoing)).catch((err: unknown) => this.#end(err as Error));
    this.#receive().then(
      () => this.#end(undefined),
      (err: unknown) => this.#end(err as Error),
    );
  }

  close(): void {
    this.#end(undefined);
  }

  protected transmit(bytes: Buffer, release: () => void): void {
    let at = 0;
    while (at < bytes.length) {
      const header = 1 + varNumberBytes(bytes, at + 1);
      const end = at + header + readVarNumber(bytes, at + 1, bytes.length);
      this.#sendDatagrams(Buffer.from(bytes.subarray(at, end)));
      at = end;
    }
    release();
  }

  protected setReading(): void {
    // Datagrams are dropped by the kernel when no one reads; there is nothing to hold back.
  }

  #sendDatagrams(packet: Buffer): void {
    if (this.#queued >= maxQueuedDatagrams || this.#closed) return;
    for (const datagram of this.#fragments(packet)) {
      this.#queued++;
      this.#outgoing.push(datagram);
    }
  }

  #fragments(packet: Buffer): Uint8Array[] {
    const { mtu } = this.#transport;
    if (packet.length <= mtu) return [packet];
    const whole = packet[0] === TT.LpPacket ? packet : tlv(TT.LpPacket, tlv(TT.LpFragment, packet));
    const parts = this.#fragmenter.fragment(new Decoder(whole).decode(LpPacket), mtu);
    return parts.map((part) => Encoder.encode(part, mtu));
  }

  async *#countDown(datagrams: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const datagram of datagrams) {
      this.#queued--;
      yield datagram;
    }
  }

  async #receive(): Promise<void> {
    for await (const { tlv: datagram } of this.#transport.rx) {
      if (this.#closed) return;
      const packet = this.#reassemble(Buffer.from(datagram.buffer, datagram.byteOffset, datagram.byteLength));
      if (packet && this.#view.read(packet, 0, packet.length) && this.#view.type !== 0) {
        this.received(this.#view);
      }
    }
  }

  #reassemble(datagram: Buffer): Buffer | undefined {
    if (!this.#view.read(datagram, 0, datagram.length)) return undefined;
    if (!this.#view.isFragment) return datagram;
    try {
      const whole = this.#reassembler.accept(new Decoder(datagram).decode(LpPacket));
      return whole === undefined ? undefined : Buffer.from(Encoder.encode(whole));
    } catch {
      return undefined; // anyone can send a broken fragment: it is dropped like any other malformed packet
    }
  }

  #end(reason: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#transport.close();
    this.#onClose(reason);
  }
}
