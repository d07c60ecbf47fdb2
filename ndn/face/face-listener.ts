/**
 * Accepts faces over streams.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { listenOnPath } from "#base/unix-socket.ts";
import type { PacketHandler } from "./face.ts";
import type { FaceUrl } from "./face-url.ts";
import { StreamFace } from "./stream-face.ts";

const defaultMaxFaces = 256;
/** How often all faces are looked at. */
const lookMs = 5_000;
/** A face whose output waits for 30 s without any progress is closed: it holds megabytes for no one. */
const maxStuckLooks = 6;
/** From 10 s of silence on a face may have to give its place to another. */
const idleLooks = 2;

/** What may be chosen about a listener. */
export interface FaceListenerOptions {
  /**
   * Faces at a time. When there are as many, a new one takes the place of the one that has been idle for longest; if
   * none is idle it is closed at once.
   * @defaultValue 256
   */
  readonly maxFaces?: number;
}

/** A listening socket whose faces all speak to one handlers. */
export class FaceListener {
  readonly #server: Server;
  /** What the peers of all faces do, in the order in which they came. */
  readonly #faces = new Map<StreamFace, PeerActivity>();
  readonly #url: FaceUrl;
  readonly #maxFaces: number;
  readonly #looking: NodeJS.Timeout;

  private constructor(
    url: FaceUrl,
    handlers: readonly PacketHandler[],
    { maxFaces = defaultMaxFaces }: FaceListenerOptions,
  ) {
    this.#url = url;
    this.#maxFaces = maxFaces;
    this.#server = createServer((socket) => this.#accept(socket, handlers));
    this.#looking = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Listen on a `tcp:` or `unix:` URL. @throws Error when the address is taken or cannot be listened on. */
  static async listen(
    url: FaceUrl,
    handlers: readonly PacketHandler[],
    options: FaceListenerOptions = {},
  ): Promise<FaceListener> {
    if (url.scheme === "udp") throw new TypeError(`not a stream: ${url.text}`);
    const listener = new FaceListener(url, handlers, options);
    try {
      await listener.#bind();
    } catch (err: unknown) {
      clearInterval(listener.#looking);
      throw err;
    }
    listener.#server.on("error", () => undefined); // out of descriptors: this peer is not served, the others are
    return listener;
  }

  /** The TCP port in use; 0 for unix sockets. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get faceCount(): number {
    return this.#faces.size;
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const face of this.#faces.keys()) face.close();
    await closed;
  }

  async #bind(): Promise<void> {
    const server = this.#server;
    const url = this.#url;
    if (url.scheme === "unix") return listenOnPath(server, url.path);
    server.listen(url.port, url.host);
    await once(server, "listening");
  }

  #accept(socket: Socket, handlers: readonly PacketHandler[]): void {
    if (this.#faces.size >= this.#maxFaces && !this.#closeIdlest()) {
      socket.destroy();
      return;
    }
    const face = new StreamFace(
      { socket, onData: (take) => void socket.on("data", take) },
      `${this.#url.text} from ${socket.remoteAddress ?? "unix"}`,
      false,
      handlers,
      () => this.#faces.delete(face),
    );
    this.#faces.set(face, new PeerActivity(socket));
  }

  /** Close the face that has been idle for longest; false when none is. */
  #closeIdlest(): boolean {
    let idlest: StreamFace | undefined;
    let longest = idleLooks - 1;
    for (const [face, { quietLooks }] of this.#faces) {
      if (quietLooks > longest) [idlest, longest] = [face, quietLooks];
    }
    if (idlest) this.#drop(idlest);
    return idlest !== undefined;
  }

  #look(): void {
    for (const [face, activity] of this.#faces) {
      activity.look();
      if (activity.stuckLooks >= maxStuckLooks) this.#drop(face);
    }
  }

  /** Close a face and free its place at once. */
  #drop(face: StreamFace): void {
    this.#faces.delete(face);
    face.close();
  }
}

/**
 * How long a peer has been silent, and how long it has taken nothing, in looks: its socket is looked at every few
 * seconds, and nothing is counted per packet.
 */
class PeerActivity {
  /** Looks in a row at which something waited for the peer, of which it had taken nothing since the look before. */
  stuckLooks = 0;
  readonly #socket: Socket;
  #silentLooks = -1; // a peer that has just come may still speak
  #bytesRead = 0;
  #taken = "";

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Looks in a row by which the peer had sent nothing since the look before; 0 if it has sent anything since the last. */
  get quietLooks(): number {
    return this.#socket.bytesRead === this.#bytesRead ? this.#silentLooks : 0;
  }

  look(): void {
    const socket = this.#socket;
    this.#silentLooks = socket.bytesRead === this.#bytesRead ? this.#silentLooks + 1 : 0;
    this.#bytesRead = socket.bytesRead;
    const taken = takenBy(socket);
    this.stuckLooks = socket.writableLength > 0 && taken === this.#taken ? this.stuckLooks + 1 : 0;
    this.#taken = taken;
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
