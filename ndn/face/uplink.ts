/**
 * The path to a forwarder (or straight to a peer): a face that is opened again whenever it breaks.
 */
import type { Socket } from "node:net";
import { connectDatagramFace } from "./connected-datagram-face.ts";
import type { Face, PacketHandler } from "./face.ts";
import type { FaceUrl } from "./face-url.ts";
import { usualMtu } from "./mtu.ts";
import { connectReusing, type FaceSocket, StreamFace } from "./stream-face.ts";

/** Is notified of an uplink's ups and downs. */
export interface UplinkListener {
  onUp?(face: Face): void;
  /** `reason` is undefined when the uplink was closed on purpose. */
  onDown?(reason: Error | undefined): void;
  /** An attempt to connect failed; the next one comes in `retryMs`. */
  onConnectFailed?(reason: Error, retryMs: number): void;
}

/** A path for packets: a face that may come and go, and the listeners that are notified of it. */
export interface Uplink {
  /** For logs: its URL. */
  readonly describe: string;
  /** Whether the other end is on this machine. */
  readonly isLocal: boolean;
  /** The face while it is up. */
  readonly face: Face | undefined;
  /** Packets are offered to handlers in the order in which they were added. */
  addHandler(handler: PacketHandler): void;
  addListener(listener: UplinkListener): void;
  removeListener(listener: UplinkListener): void;
  /** Begin to connect, and continue trying until `close`. */
  open(): void;
  close(): void;
}

/** What every uplink shares: its handlers and listeners. */
export abstract class BaseUplink implements Uplink {
  readonly describe: string;
  readonly isLocal: boolean;
  face: Face | undefined;
  /** Of its faces. */
  protected readonly handlers: PacketHandler[] = [];
  #listeners: readonly UplinkListener[] = [];

  constructor(describe: string, isLocal: boolean) {
    this.describe = describe;
    this.isLocal = isLocal;
  }

  abstract open(): void;
  abstract close(): void;

  addHandler(handler: PacketHandler): void {
    this.handlers.push(handler);
  }

  addListener(listener: UplinkListener): void {
    this.#listeners = [...this.#listeners, listener];
    if (this.face) listener.onUp?.(this.face);
  }

  removeListener(listener: UplinkListener): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener);
  }

  protected wentUp(face: Face): void {
    this.face = face;
    for (const listener of this.#listeners) listener.onUp?.(face);
  }

  protected wentDown(reason: Error | undefined): void {
    this.face = undefined;
    for (const listener of this.#listeners) listener.onDown?.(reason);
  }

  protected connectFailed(reason: Error, retryMs: number): void {
    for (const listener of this.#listeners) listener.onConnectFailed?.(reason, retryMs);
  }
}

const connectTimeoutMs = 5_000;
const firstRetryMs = 200;
const lastRetryMs = 5_000;
/** A face that was up for this long was no mere attempt: after it the pauses begin anew. */
const stableMs = 5_000;

/** A face to `url` that comes back after failures. Call `open` once; `close` ends it for good. */
export class SocketUplink extends BaseUplink {
  readonly #url: FaceUrl;
  readonly #mtu: number;
  #retryMs = firstRetryMs;
  #upAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #attempt: Socket | undefined;
  readonly #closed = new AbortController();
  readonly #onClose = (reason: Error | undefined) => this.#down(reason);

  /** @param mtu - Bytes of a datagram at most, over UDP. */
  constructor(url: FaceUrl, mtu: number = usualMtu()) {
    super(url.text, url.isLocal);
    this.#url = url;
    this.#mtu = mtu;
  }

  open(): void {
    if (this.#closed.signal.aborted) return;
    const url = this.#url;
    if (url.scheme === "unix") this.#openStream(connectReusing({ path: url.path }));
    else if (url.scheme === "tcp") this.#openStream(connectReusing({ host: url.host, port: url.port }));
    else void this.#openDatagram(url.host, url.port);
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#attempt?.destroy();
    this.face?.close();
  }

  #openStream(faceSocket: FaceSocket): void {
    const { socket } = faceSocket;
    this.#attempt = socket;
    let failure = new Error("closed while connecting");
    const timeout = setTimeout(
      () => socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const onError = (err: Error) => {
      failure = err;
    };
    const onClose = () => {
      clearTimeout(timeout);
      this.#failed(failure);
    };
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once("connect", () => {
      clearTimeout(timeout);
      socket.off("error", onError);
      socket.off("close", onClose);
      this.#attempt = undefined;
      this.#up(new StreamFace(faceSocket, this.describe, this.isLocal, this.handlers, this.#onClose));
    });
  }

  /** The more often no one was there, the longer one waits to be told so again: `up` shall mean something. */
  async #openDatagram(host: string, port: number): Promise<void> {
    const { describe, isLocal } = this;
    const peer = { host, port, describe, isLocal, mtu: this.#mtu };
    try {
      const { handlers } = this;
      this.#up(await connectDatagramFace(peer, handlers, this.#onClose, this.#retryMs, this.#closed.signal));
    } catch (err: unknown) {
      this.#failed(err as Error);
    }
  }

  #up(face: Face): void {
    this.#upAtMs = performance.now();
    this.wentUp(face);
  }

  #down(reason: Error | undefined): void {
    if (performance.now() - this.#upAtMs > stableMs) this.#retryMs = firstRetryMs;
    this.wentDown(this.#closed.signal.aborted ? undefined : (reason ?? new Error("closed by the other side")));
    this.#openLater();
  }

  #failed(reason: Error): void {
    this.#attempt = undefined;
    if (this.#closed.signal.aborted) return;
    this.connectFailed(reason, this.#retryMs);
    this.#openLater();
  }

  #openLater(): void {
    if (this.#closed.signal.aborted) return;
    this.#timer = setTimeout(() => this.open(), this.#retryMs);
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
  }
}

/** The two levels that are used of a logger. */
export interface UplinkLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

/** Log whenever the uplink goes up, goes down, or cannot be reached for a new reason. */
export function logUplink(uplink: Uplink, log: UplinkLogger): void {
  const fields = { uplink: uplink.describe };
  let known = "";
  uplink.addListener({
    onUp: () => {
      known = "";
      log.info(fields, "uplink is up");
    },
    onDown: (reason) => {
      if (reason) log.warn({ ...fields, reason: reason.message }, "uplink went down");
    },
    onConnectFailed: (reason) => {
      if (reason.message === known) return;
      known = reason.message;
      log.warn({ ...fields, reason: reason.message }, "uplink cannot be reached; trying again");
    },
  });
}
