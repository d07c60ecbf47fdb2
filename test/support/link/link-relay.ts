/**
 * A link between a client and a forwarder: a relay that cuts the streams into NDN packets and treats each as a real
 * link would (`link.ts`), or as an attacker on it would (`packet-attackers.ts`). What it does can be changed at
 * any time. Everything random comes from a seed.
 */
import { rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { PacketScanner } from "#ndn/packet/packet-view.ts";
import { maxLinkPacketBytes } from "#ndn/packet/tlv.ts";
import { seededRandom } from "../seeded-random.ts";
import { Bottleneck } from "./bottleneck.ts";
import { Link, type LinkCounters, type LinkOptions, type LinkWatcher, noCounters } from "./link.ts";
import { coarseTick, fineTick, type Tick } from "./tick.ts";

export type { LinkCounters, LinkOptions } from "./link.ts";

/** Path of a Unix socket, or a TCP address; port 0 is a free one. */
export type Address = string | { readonly host: string; readonly port: number };

/** A running relay. */
export interface LinkRelay extends AsyncDisposable {
  readonly counters: LinkCounters;
  /** Port that it listens on; 0 on a Unix socket. */
  readonly port: number;
  /** What happens to packets from now on. */
  up: LinkOptions;
  down: LinkOptions;
  /** Whether it reads what comes from the listener's clients and from the target; writers are held back otherwise. */
  isReading: boolean;
  /** Break all connections off; new ones are taken. */
  cut(): void;
  /** Say goodbye to the clients, but keep their connections open in the other direction. */
  halfClose(): void;
}

/** Options of {@link startLinkRelay}. */
export interface LinkRelayOptions {
  /** Where the relay listens. */
  readonly listen: Address;
  /** Where it connects to for every connection. */
  readonly target: Address;
  /** From the listener's client to the target, and back. */
  readonly up: LinkOptions;
  readonly down: LinkOptions;
  readonly seed: number;
  /** Whether the process is nothing but this relay, so that it may block it for a finer clock. @defaultValue false */
  readonly isAlone?: boolean;
  /** Watches the way down. */
  readonly watcher?: LinkWatcher;
}

/** Start the relay. */
export async function startLinkRelay(options: LinkRelayOptions): Promise<LinkRelay> {
  const relay = new Relay(options);
  await relay.listen();
  return relay;
}

/** Do something as soon as so many bytes of packets have gone down, however fast those at both ends are. */
export function onceDown(relay: LinkRelay, bytes: number, deed: () => void): void {
  let gone = 0;
  relay.down = {
    ...relay.down,
    mangle: (packet) => {
      const before = gone;
      gone += packet.length;
      if (before < bytes && gone >= bytes) deed();
      return undefined;
    },
  };
}

class Relay implements LinkRelay {
  readonly counters = noCounters();
  up: LinkOptions;
  down: LinkOptions;
  private readonly options: LinkRelayOptions;
  private readonly random: () => number;
  private readonly tick: Tick;
  private readonly bottlenecks = { up: new Bottleneck(), down: new Bottleneck() };
  private readonly server: Server;
  private readonly nears = new Set<Socket>();
  private readonly sockets = new Set<Socket>();
  private reading = true;

  constructor(options: LinkRelayOptions) {
    this.options = options;
    this.up = options.up;
    this.down = options.down;
    this.random = seededRandom(options.seed);
    const roundTripMs = (options.up.delayMs ?? 0) + (options.down.delayMs ?? 0);
    this.tick = options.isAlone ? fineTick(roundTripMs) : coarseTick;
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.join(near));
  }

  get port(): number {
    const address = this.server.address() as AddressInfo | string;
    return typeof address === "string" ? 0 : address.port;
  }

  get isReading(): boolean {
    return this.reading;
  }

  set isReading(isReading: boolean) {
    this.reading = isReading;
    for (const socket of this.sockets) {
      if (isReading) socket.resume();
      else socket.pause();
    }
  }

  listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.server.once("error", reject);
    const { listen } = this.options;
    if (typeof listen === "string") this.server.listen(listen, resolve);
    else this.server.listen(listen.port, listen.host, resolve);
    return promise;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  halfClose(): void {
    for (const near of this.nears) near.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    if (typeof this.options.listen === "string") rmSync(this.options.listen, { force: true });
  }

  private join(near: Socket): void {
    const { target } = this.options;
    const far = typeof target === "string" ? connect(target) : connect({ ...target, noDelay: true });
    this.nears.add(near);
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        this.nears.delete(near);
        near.destroy();
        far.destroy();
      });
    }
    near.on("end", () => far.end());
    const { tick } = this;
    const { watcher } = this.options;
    const toFar = { tick, bottleneck: this.bottlenecks.up, of: () => this.up, back: () => down };
    const toNear = { tick, bottleneck: this.bottlenecks.down, watcher, of: () => this.down, back: () => up };
    const up: Link = new Link(far, this.random, this.counters, toFar);
    const down: Link = new Link(near, this.random, this.counters, toNear);
    this.forward(near, far, up);
    this.forward(far, near, down);
    if (!this.reading) for (const socket of [near, far]) socket.pause();
  }

  /** A receiver that does not read holds the sender back in the end, as one behind a face of a forwarder does. */
  private forward(from: Socket, to: Socket, link: Link): void {
    const push = packetsTo(link);
    from.on("data", (chunk: Buffer) => {
      try {
        push(chunk);
      } catch {
        from.destroy(); // not NDN any more: a forwarder would close the face, too
      }
      if (to.writableLength > maxUnreadBytes) from.pause();
    });
    to.on("drain", () => {
      if (this.reading) from.resume();
    });
  }
}

/** What a receiver may leave unread beyond what its socket takes. */
const maxUnreadBytes = 4 * 1024 * 1024;

/** Takes chunks of a stream; throws when they are no packets. */
function packetsTo(link: Link): (chunk: Buffer) => void {
  let chunk: Buffer;
  const scanner = new PacketScanner((buf, start, end) => {
    const packet = buf.subarray(start, end);
    link.send(buf === chunk ? packet : Buffer.from(packet)); // one that straddles two chunks lies in the scanner's buffer
  }, maxLinkPacketBytes);
  return (next) => {
    chunk = next;
    scanner.push(next);
  };
}
