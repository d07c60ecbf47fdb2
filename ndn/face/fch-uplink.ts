/**
 * An uplink whose forwarder is found by asking for one, and another one when it is no good.
 */

import { raceAbort } from "#base/waiting.ts";
import type { Face } from "./face.ts";
import { type FaceUrl, type FchUrl, parseFaceUrl, type UplinkUrl } from "./face-url.ts";
import { BaseUplink, SocketUplink, type Uplink } from "./uplink.ts";

/** The uplink to what an operator wrote. @param mtu - Bytes of a datagram at most, where it is over UDP. */
export function uplinkTo(url: UplinkUrl, mtu?: number): Uplink {
  return url.scheme === "fch" ? new FchUplink(url, { mtu }) : new SocketUplink(url, mtu);
}

/** Settings of an {@link FchUplink}. */
export interface FchUplinkOptions {
  /** Pause after the first round without a router; each further one is twice as long. @defaultValue 1000 */
  readonly firstRetryMs?: number | undefined;
  /** The longest of these pauses. @defaultValue 60000 */
  readonly lastRetryMs?: number | undefined;
  /** A face that was up for less says nothing for its router. @defaultValue 5000 */
  readonly stableMs?: number | undefined;
  /** Bytes of a datagram at most. @defaultValue as of a {@link SocketUplink} */
  readonly mtu?: number | undefined;
}

/** So many faces in a row that were up for less than `stableMs`, and the router is left. */
const shortFacesUntilLeft = 3;

/** A face to one router at a time, out of those that the service names. Call `open` once; `close` ends it for good. */
export class FchUplink extends BaseUplink {
  readonly #url: FchUrl;
  readonly #firstRetryMs: number;
  readonly #lastRetryMs: number;
  readonly #stableMs: number;
  readonly #mtu: number | undefined;
  #retryMs: number;
  readonly #closed = new AbortController();
  #routers: FaceUrl[] = [];
  #current: SocketUplink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #upAtMs = 0;
  /** Of the present router, in a row. */
  #shortFaces = 0;

  constructor(url: FchUrl, options: FchUplinkOptions = {}) {
    const { firstRetryMs = 1_000, lastRetryMs = 60_000, stableMs = 5_000 } = options;
    super(url.text, url.isLocal);
    this.#url = url;
    this.#firstRetryMs = firstRetryMs;
    this.#lastRetryMs = lastRetryMs;
    this.#stableMs = stableMs;
    this.#mtu = options.mtu;
    this.#retryMs = firstRetryMs;
  }

  open(): void {
    if (!this.#closed.signal.aborted) void this.#resolve();
  }

  close(): void {
    this.#closed.abort(new Error("uplink was closed"));
    clearTimeout(this.#timer);
    this.#current?.close();
  }

  /** The router is up but of no use: no one answers through it. The next one gets its turn. */
  leaveRouter(reason: Error): void {
    if (this.#current) this.#leave(this.#current, reason);
  }

  async #resolve(): Promise<void> {
    const { signal } = this.#closed;
    try {
      this.#routers = await resolveFch(this.#url, signal);
    } catch (err: unknown) {
      if (!signal.aborted) this.#askLater(err as Error);
      return;
    }
    if (!signal.aborted) this.#connectNext(new Error("no router"));
  }

  #connectNext(reason: Error): void {
    const url = this.#routers.shift();
    if (url === undefined) {
      this.#askLater(reason);
      return;
    }
    const inner = new SocketUplink(url, this.#mtu);
    this.#current = inner;
    this.#shortFaces = 0;
    // A router that was left may still have something to say: that is dropped.
    const ifCurrent = (act: () => void) => {
      if (this.#current === inner) act();
    };
    inner.addHandler({
      accept: (view, face) => this.#current !== inner || this.handlers.some((handler) => handler.accept(view, face)),
    });
    inner.addListener({
      onUp: (face) => ifCurrent(() => this.#up(face)),
      // A face that broke is opened again by its own uplink; the router is left if that fails or does not last.
      onDown: (why) => ifCurrent(() => this.#down(inner, why)),
      onConnectFailed: (why) => ifCurrent(() => this.#leave(inner, why)),
    });
    inner.open();
  }

  #up(face: Face): void {
    this.#upAtMs = performance.now();
    this.wentUp(face);
  }

  /** A router that takes connections and closes them at once is as good as one that takes none. */
  #down(inner: SocketUplink, reason: Error | undefined): void {
    this.#shortFaces = this.#hasLasted() ? 0 : this.#shortFaces + 1;
    this.wentDown(reason);
    if (reason && this.#shortFaces >= shortFacesUntilLeft) this.#leave(inner, reason);
  }

  /** Whether the face that is or was up did well; if so, the pauses begin anew. */
  #hasLasted(): boolean {
    const lasted = performance.now() - this.#upAtMs >= this.#stableMs;
    if (lasted) this.#retryMs = this.#firstRetryMs;
    return lasted;
  }

  #leave(inner: SocketUplink, reason: Error): void {
    this.#current = undefined;
    inner.close();
    if (this.#closed.signal.aborted) return;
    if (this.face) {
      this.#hasLasted();
      this.wentDown(reason);
    }
    this.#connectNext(reason);
  }

  #askLater(reason: Error): void {
    this.connectFailed(reason, this.#retryMs);
    this.#timer = setTimeout(() => this.open(), this.#retryMs);
    this.#retryMs = Math.min(this.#lastRetryMs, this.#retryMs * 2);
  }
}

/** Routers asked for, for each transport. */
const routersEach = 4;
const timeoutMs = 10_000;

/**
 * The routers that the service names, nearest first: streams, which are faster here, before datagrams.
 *
 * @throws Error when the service does not answer in time or names none that can be used.
 */
export async function resolveFch({ service }: FchUrl, signal: AbortSignal): Promise<FaceUrl[]> {
  // Only who writes `fch:` needs the library.
  const { fchQuery } = await import("@ndn/autoconfig");
  const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const query = fchQuery({ server: service, transports: { tcp: routersEach, udp: routersEach }, signal: bound });
  const { routers } = await raceAbort(query, bound);
  const named = ["tcp", "udp"].flatMap((wanted) =>
    routers
      .filter(({ transport }) => transport === wanted)
      .slice(0, routersEach)
      .flatMap(({ connect }) => faceUrlOf(wanted, connect)),
  );
  if (named.length === 0) throw new Error("the FCH service names no router with TCP or UDP");
  return named;
}

/** What answers may be no FCH service, and the library takes any text for names of hosts. */
function faceUrlOf(transport: string, connect: string): FaceUrl[] {
  if (!/^(?:[a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(connect)) return [];
  try {
    return [parseFaceUrl(`${transport}://${connect}`)];
  } catch {
    return []; // a port that is none
  }
}
