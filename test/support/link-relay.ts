/**
 * A link between a client and a forwarder: a relay on a Unix socket that cuts the streams into NDN packets and treats
 * each as a real link would: propagation delay, a bottleneck with a queue, loss, duplication, reordering, corruption.
 * Everything random comes from a seed.
 */
import { rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { PacketScanner } from "#ndn/packet-scanner.ts";
import { maxLinkPacketBytes } from "#ndn/tlv.ts";

/** One direction of a link. */
export interface LinkOptions {
  /** Propagation delay, one way. @defaultValue 0 */
  readonly delayMs?: number;
  /** Rate of the bottleneck in bits per second. @defaultValue unlimited */
  readonly bitsPerSecond?: number;
  /** Bytes that wait for the bottleneck at most; what comes on top is dropped. @defaultValue 256 KiB */
  readonly queueBytes?: number;
  /** Share of packets that are lost, 0 to 1. @defaultValue 0 */
  readonly loss?: number;
  /** Share of packets that come twice. @defaultValue 0 */
  readonly duplication?: number;
  /** Share of packets that come later than those behind them, by `reorderMs`. @defaultValue 0 */
  readonly reordering?: number;
  /** @defaultValue 5 */
  readonly reorderMs?: number;
  /** Share of packets of which one byte is changed. @defaultValue 0 */
  readonly corruption?: number;
}

/** What the relay did so far, both directions together. */
export interface LinkCounters {
  packets: number;
  bytes: number;
  lost: number;
  /** Dropped because the queue was full. */
  overflowed: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
}

/** A running relay. */
export interface LinkRelay extends AsyncDisposable {
  readonly counters: LinkCounters;
}

/** Options of {@link startLinkRelay}. */
export interface LinkRelayOptions {
  /** Unix socket that the relay listens on. */
  readonly listen: string;
  /** Unix socket that it connects to for every connection. */
  readonly target: string;
  /** From the listener's client to the target, and back. */
  readonly up: LinkOptions;
  readonly down: LinkOptions;
  readonly seed: number;
}

/** Start the relay. */
export async function startLinkRelay(options: LinkRelayOptions): Promise<LinkRelay> {
  const counters = { packets: 0, bytes: 0, lost: 0, overflowed: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  const random = seededRandom(options.seed);
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(options.target);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    relay(near, new Link(far, options.up, random, counters));
    relay(far, new Link(near, options.down, random, counters));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options.listen, resolve));
  return {
    counters,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(options.listen, { force: true });
    },
  };
}

function relay(from: Socket, link: Link): void {
  const scanner = new PacketScanner(
    (buf, start, end) => link.send(Buffer.from(buf.subarray(start, end))),
    maxLinkPacketBytes,
  );
  from.on("data", (chunk) => scanner.push(chunk));
}

interface Scheduled {
  readonly atMs: number;
  readonly packet: Buffer;
}

/** One direction: packets leave in the order of their times, several per turn of one coarse timer. */
class Link {
  private readonly out: Socket;
  private readonly options: LinkOptions;
  private readonly random: () => number;
  private readonly counters: LinkCounters;
  private readonly scheduled: Scheduled[] = [];
  private timer: NodeJS.Timeout | undefined;
  /** When the bottleneck will have sent everything that is queued now. */
  private freeAtMs = 0;

  constructor(out: Socket, options: LinkOptions, random: () => number, counters: LinkCounters) {
    this.out = out;
    this.options = options;
    this.random = random;
    this.counters = counters;
    out.once("close", () => clearTimeout(this.timer));
  }

  send(packet: Buffer): void {
    this.counters.packets++;
    this.counters.bytes += packet.length;
    if (this.happens("loss", "lost")) return;
    const arrivesAtMs = this.throughBottleneck(packet.length);
    if (arrivesAtMs === undefined) {
      this.counters.overflowed++;
      return;
    }
    if (this.happens("corruption", "corrupted")) packet[Math.floor(this.random() * packet.length)]! ^= 0xff;
    const lateMs = this.happens("reordering", "reordered") ? (this.options.reorderMs ?? 5) : 0;
    this.schedule({ atMs: arrivesAtMs + lateMs, packet });
    if (this.happens("duplication", "duplicated")) this.schedule({ atMs: arrivesAtMs, packet });
  }

  private happens(what: "loss" | "corruption" | "reordering" | "duplication", counted: keyof LinkCounters): boolean {
    const share = this.options[what] ?? 0;
    if (share === 0 || this.random() >= share) return false;
    this.counters[counted]++;
    return true;
  }

  /** When the packet comes out at the other end; undefined when the queue has no room for it. */
  private throughBottleneck(bytes: number): number | undefined {
    const now = performance.now();
    const { bitsPerSecond = Number.POSITIVE_INFINITY, queueBytes = 256 * 1024, delayMs = 0 } = this.options;
    const startsAtMs = Math.max(now, this.freeAtMs);
    if (((startsAtMs - now) / 8000) * bitsPerSecond > queueBytes) return undefined;
    this.freeAtMs = startsAtMs + (bytes * 8000) / bitsPerSecond;
    return this.freeAtMs + delayMs;
  }

  private schedule(entry: Scheduled): void {
    const { scheduled } = this;
    let at = scheduled.length;
    while (at > 0 && scheduled[at - 1]!.atMs > entry.atMs) at--;
    scheduled.splice(at, 0, entry);
    this.timer ??= setTimeout(() => this.deliver(), 1);
  }

  private deliver(): void {
    this.timer = undefined;
    const now = performance.now();
    let due = 0;
    while (due < this.scheduled.length && this.scheduled[due]!.atMs <= now) due++;
    if (due > 0 && !this.out.destroyed) {
      this.out.write(Buffer.concat(this.scheduled.splice(0, due).map(({ packet }) => packet)));
    }
    if (this.scheduled.length > 0) this.timer = setTimeout(() => this.deliver(), 1);
  }
}

/** mulberry32: small, fast, and the same on every machine. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
