/**
 * A UDP socket for faces, connected to one peer or open to all.
 *
 * Hot path: Node hands a datagram to the kernel within `send`, so one buffer does for all fragments as long as the kernel
 * has room (`npm run bench -- --only udp`).
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { datagramIsGarbage } from "./datagram-garbage.ts";

/** For what arrives while the process is busy: about 30 ms at 100 MB/s. The kernel may give less (`net.core.rmem_max`). */
const receiveBufferBytes = 4 * 1024 * 1024;
/** Where fragments are written. */
const bufferBytes = 64 * 1024;
/** What may wait for the kernel on one socket; beyond it datagrams are lost, as in the full queue of a router. */
const maxWaitingBytes = 16 * 1024 * 1024;

/** An IP address and a port. */
export interface UdpAddress {
  readonly address: string;
  readonly port: number;
}

/** Is given what arrives; a datagram is valid during the call only. */
export type OnDatagram = (datagram: Buffer, from: RemoteInfo) => void;

/** See above; who opened it closes it. */
export class UdpSocket {
  /** Where fragments may be written, from what `reserve` says on. */
  buffer: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #socket: Socket;
  #used = 0;
  #isClosed = false;

  private constructor(family: number) {
    this.#socket = createSocket({
      type: family === 6 ? "udp6" : "udp4",
      // All addresses are IP addresses here, and Node would look up even these in a later turn, one by one.
      lookup: (address, _options, callback) => callback(null, address, family),
    });
  }

  /** A socket that sends to `peer` and takes only what comes from there. @throws Error when there is no route. */
  static connect(peer: UdpAddress, family: number): Promise<UdpSocket> {
    return UdpSocket.#open(family, "connect", (socket) => socket.connect(peer.port, peer.address));
  }

  /** A socket that takes what comes to `address`, port 0 for a free one. @throws Error when the address is taken. */
  static bind(address: UdpAddress, family: number): Promise<UdpSocket> {
    return UdpSocket.#open(family, "listening", (socket) => void socket.bind(address.port, address.address));
  }

  static async #open(family: number, event: string, begin: (socket: Socket) => void): Promise<UdpSocket> {
    const opened = new UdpSocket(family);
    try {
      const isOpen = once(opened.#socket, event); // which may come within the call
      begin(opened.#socket);
      await isOpen;
    } catch (err: unknown) {
      opened.close();
      throw err;
    }
    askForReceiveBuffer(opened.#socket);
    return opened;
  }

  /** Its own port. */
  get port(): number {
    return this.#socket.address().port;
  }

  /** Whether anything waits for the kernel. */
  get isWaiting(): boolean {
    return !this.#isClosed && this.#socket.getSendQueueCount() > 0;
  }

  /** Whether so much waits for the kernel that what comes on top has to be dropped. */
  get isFull(): boolean {
    return this.#isClosed || this.#socket.getSendQueueSize() > maxWaitingBytes;
  }

  onDatagram(take: OnDatagram): void {
    this.#socket.on("message", (datagram, from) => {
      take(datagram, from);
      datagramIsGarbage(datagram.length);
    });
  }

  /** `take` is called when the kernel says that no one listens where this socket is connected to, and for other errors. */
  onError(take: (err: Error) => void): void {
    this.#socket.on("error", take);
  }

  /** Where in `buffer` so many bytes, at most `bufferBytes`, may be written that are sent before the next call. */
  reserve(bytes: number): number {
    if (!this.isWaiting) this.#used = 0;
    else if (this.#used + bytes > bufferBytes) {
      this.buffer = Buffer.allocUnsafeSlow(bufferBytes); // the datagrams that wait keep the old one
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += bytes;
    return at;
  }

  /**
   * Send `bytes[start, end)`, which must not change before it has left.
   *
   * @param to - Peer of a socket that is not connected.
   * @param done - Is called in a later turn when this and all that was sent before has left, or could not be sent.
   */
  send(bytes: Buffer, start: number, end: number, to?: UdpAddress, done?: () => void): void {
    if (this.#isClosed) done?.();
    else if (to) this.#socket.send(bytes, start, end - start, to.port, to.address, done);
    else this.#socket.send(bytes, start, end - start, done);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.on("error", () => undefined);
    this.#socket.close();
  }
}

/** Linux gives as much as it may; other systems refuse what is too much. */
function askForReceiveBuffer(socket: Socket): void {
  for (let bytes = receiveBufferBytes; bytes > socket.getRecvBufferSize(); bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes);
      return;
    } catch {}
  }
}
