/**
 * Faces over UDP for everyone who sends to one port. A source address can be made up, so a peer costs little, and all of
 * them have a bound.
 */
import type { RemoteInfo } from "node:dgram";
import { lookup } from "node:dns/promises";
import { DatagramFace, isPacket } from "./datagram-face.ts";
import type { PacketHandler } from "./face.ts";
import { Reassembler } from "./reassembler.ts";
import { UdpSocket } from "./udp-socket.ts";

const defaultMaxFaces = 1024;
/** As long as NFD keeps one; afterwards its next datagram makes a new one. */
const idleMs = 600_000;

/** Where to listen, and how. */
export interface DatagramPort {
  readonly host: string;
  readonly port: number;
  readonly mtu: number;
  readonly describe: string;
  /**
   * Faces at a time. When there are as many, a new one takes the place of the one that has been silent for longest.
   * @defaultValue 1024
   */
  readonly maxFaces?: number | undefined;
}

/** What is known of a peer: its face, and whether it has spoken since the last look. */
interface Peer {
  readonly address: string;
  readonly port: number;
  readonly face: DatagramFace;
  hasSpoken: boolean;
}

/** A bound socket whose faces all speak to the same handlers. */
export class DatagramListener {
  readonly #socket: UdpSocket;
  readonly #at: DatagramPort;
  readonly #handlers: readonly PacketHandler[];
  /** The one that has been silent for longest comes first. */
  readonly #peers = new Map<string, Peer>();
  /** The last of them. */
  #latest: Peer | undefined;
  readonly #reassembler = new Reassembler({ partials: 256, partialsOfPeer: 16 });
  readonly #looking: NodeJS.Timeout;

  private constructor(socket: UdpSocket, at: DatagramPort, handlers: readonly PacketHandler[]) {
    this.#socket = socket;
    this.#at = at;
    this.#handlers = handlers;
    this.#looking = setInterval(() => this.#look(), idleMs).unref();
    socket.onDatagram((datagram, from) => this.#take(datagram, from));
    socket.onError(() => undefined); // of one datagram: the others are served
  }

  /** Listen on UDP; port 0 is a free one. @throws Error when the address is taken or cannot be listened on. */
  static async listen(at: DatagramPort, handlers: readonly PacketHandler[]): Promise<DatagramListener> {
    const { address, family } = await lookup(at.host);
    return new DatagramListener(await UdpSocket.bind({ address, port: at.port }, family), at, handlers);
  }

  /** The port in use. */
  get port(): number {
    return this.#socket.port;
  }

  get faceCount(): number {
    return this.#peers.size;
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    for (const { face } of this.#peers.values()) face.close();
    this.#socket.close();
  }

  #take(datagram: Buffer, from: RemoteInfo): void {
    const latest = this.#latest;
    const isLatest = latest !== undefined && latest.port === from.port && latest.address === from.address;
    const peer = isLatest ? latest : this.#peerOf(datagram, from);
    if (peer === undefined) return;
    peer.hasSpoken = true;
    peer.face.receive(datagram);
  }

  /** The peer that has sent this, as the last one that has spoken; undefined where it is none that could be answered. */
  #peerOf(datagram: Buffer, { address, port }: RemoteInfo): Peer | undefined {
    const key = `${address} ${port}`;
    const known = this.#peers.get(key);
    if (known) this.#peers.delete(key);
    else if (port === 0 || !isPacket(datagram)) return undefined;
    else this.#makeRoom();
    this.#latest = known ?? this.#add(key, address, port);
    this.#peers.set(key, this.#latest);
    return this.#latest;
  }

  #add(key: string, address: string, port: number): Peer {
    const { mtu, describe } = this.#at;
    const face = new DatagramFace(
      {
        socket: this.#socket,
        to: { address, port },
        reassembler: this.#reassembler,
        mtu,
        describe: `${describe} from ${address}`,
        isLocal: false,
      },
      this.#handlers,
      () => this.#forget(key, face),
    );
    return { address, port, face, hasSpoken: true };
  }

  #makeRoom(): void {
    if (this.#peers.size < (this.#at.maxFaces ?? defaultMaxFaces)) return;
    const [oldest] = this.#peers.values();
    oldest?.face.close();
  }

  #forget(key: string, face: DatagramFace): void {
    this.#peers.delete(key);
    if (this.#latest?.face === face) this.#latest = undefined;
  }

  #look(): void {
    for (const peer of this.#peers.values()) {
      if (!peer.hasSpoken) peer.face.close();
      peer.hasSpoken = false;
    }
  }
}
