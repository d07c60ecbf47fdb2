/**
 * Accepts faces directly, so that two machines need no forwarder.
 */
import { lstatSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { PacketHandler } from "./face.ts";
import type { FaceUrl } from "./face-url.ts";
import { StreamFace } from "./stream-face.ts";

/** Faces accepted at a time; more are closed at once. */
const maxFaces = 256;

/** A listening socket whose faces all speak to one handler. */
export class FaceListener {
  private readonly server: Server;
  private readonly faces = new Set<StreamFace>();
  private readonly url: FaceUrl;

  private constructor(url: FaceUrl, handler: PacketHandler) {
    this.url = url;
    this.server = createServer((socket) => this.accept(socket, handler));
  }

  /** Listen on a `tcp:` or `unix:` URL. @throws Error when the address is taken or cannot be listened on. */
  static async listen(url: FaceUrl, handler: PacketHandler): Promise<FaceListener> {
    if (url.scheme === "udp") throw new Error(`faces are accepted on tcp:// or unix://, not ${url.text}`);
    const listener = new FaceListener(url, handler);
    if (url.scheme === "unix") await removeStaleSocket(url.path);
    await new Promise<void>((resolve, reject) => {
      listener.server.once("error", reject);
      const bound = () => resolve();
      if (url.scheme === "unix") listener.server.listen(url.path, bound);
      else listener.server.listen(url.port, url.host, bound);
    });
    listener.server.on("error", () => undefined); // out of descriptors: this peer is not served, the others are
    return listener;
  }

  /** The TCP port in use; 0 for unix sockets. */
  get port(): number {
    const address = this.server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get faceCount(): number {
    return this.faces.size;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const face of this.faces) face.close();
    await closed;
  }

  private accept(socket: Socket, handler: PacketHandler): void {
    if (this.faces.size >= maxFaces) {
      socket.destroy();
      return;
    }
    const face = new StreamFace(
      { socket, onData: (take) => void socket.on("data", take) },
      `${this.url.text} from ${socket.remoteAddress ?? "unix"}`,
      false,
      {
        onPacket: (view, from) => void handler.accept(view, from),
        onClose: () => this.faces.delete(face),
      },
    );
    this.faces.add(face);
  }
}

/** A socket file that nobody listens on any more is left over from a crash; a live one stays and is an error. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once("error", (err: NodeJS.ErrnoException) => resolve(err.code));
  });
  // Any other kind of file refuses too.
  if (code === "ECONNREFUSED" && lstatSync(path).isSocket()) rmSync(path);
}
