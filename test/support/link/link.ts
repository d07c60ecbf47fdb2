/**
 * One direction of a link: propagation delay, a bottleneck with a queue, loss, duplication, reordering, corruption, and
 * whatever an attacker does to single packets.
 */
import type { Socket } from "node:net";

/** What becomes of a packet. */
export interface Mangled {
  /** Goes on in its place; nothing when the packet is swallowed. */
  readonly onward: readonly Buffer[];
  /** Goes back to where the packet came from. */
  readonly back?: readonly Buffer[];
}

/** Looks at a packet and may do something to it; undefined leaves it alone. Called once for each. */
export type Mangle = (packet: Buffer, random: () => number) => Mangled | undefined;

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
  /** An attacker, who gets the packets that are not lost. */
  readonly mangle?: Mangle;
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
  /** What the attacker laid hands on. */
  mangled: number;
}

/** Counters that have counted nothing. */
export function noCounters(): LinkCounters {
  return {
    packets: 0,
    bytes: 0,
    lost: 0,
    overflowed: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    mangled: 0,
  };
}

/** Where a direction finds its options, which may change, and the direction back. */
export interface LinkContext {
  of(): LinkOptions;
  back(): Link;
}

interface Scheduled {
  readonly atMs: number;
  readonly packet: Buffer;
}

/** Packets leave in the order of their times, several per turn of one coarse timer. */
export class Link {
  private readonly out: Socket;
  private readonly context: LinkContext;
  private readonly random: () => number;
  private readonly counters: LinkCounters;
  private readonly scheduled: Scheduled[] = [];
  private timer: NodeJS.Timeout | undefined;
  /** When the bottleneck will have sent everything that is queued now. */
  private freeAtMs = 0;

  constructor(out: Socket, random: () => number, counters: LinkCounters, context: LinkContext) {
    this.out = out;
    this.context = context;
    this.random = random;
    this.counters = counters;
    out.once("close", () => clearTimeout(this.timer));
  }

  /** A packet enters the link. */
  send(packet: Buffer): void {
    this.counters.packets++;
    this.counters.bytes += packet.length;
    const options = this.context.of();
    if (this.happens(options.loss, "lost")) return;
    const arrivesAtMs = this.throughBottleneck(packet.length, options);
    if (arrivesAtMs === undefined) {
      this.counters.overflowed++;
      return;
    }
    if (this.happens(options.corruption, "corrupted")) packet[Math.floor(this.random() * packet.length)]! ^= 0xff;
    const lateMs = this.happens(options.reordering, "reordered") ? (options.reorderMs ?? 5) : 0;
    const mangled = options.mangle?.(packet, this.random);
    if (mangled !== undefined) this.counters.mangled++;
    for (const back of mangled?.back ?? []) this.context.back().schedule({ atMs: arrivesAtMs, packet: back });
    for (const onward of mangled?.onward ?? [packet]) this.schedule({ atMs: arrivesAtMs + lateMs, packet: onward });
    if (this.happens(options.duplication, "duplicated")) this.schedule({ atMs: arrivesAtMs, packet });
  }

  private happens(share: number | undefined, counted: keyof LinkCounters): boolean {
    if (share === undefined || share === 0 || this.random() >= share) return false;
    this.counters[counted]++;
    return true;
  }

  /** When the packet comes out at the other end; undefined when the queue has no room for it. */
  private throughBottleneck(bytes: number, options: LinkOptions): number | undefined {
    const now = performance.now();
    const { bitsPerSecond = Number.POSITIVE_INFINITY, queueBytes = 256 * 1024, delayMs = 0 } = options;
    const startsAtMs = Math.max(now, this.freeAtMs);
    if (((startsAtMs - now) / 8000) * bitsPerSecond > queueBytes) return undefined;
    this.freeAtMs = startsAtMs + (bytes * 8000) / bitsPerSecond;
    return this.freeAtMs + delayMs;
  }

  private schedule(entry: Scheduled): void {
    if (this.out.destroyed) return;
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
    if (due > 0 && this.out.writable) {
      this.out.write(Buffer.concat(this.scheduled.splice(0, due).map(({ packet }) => packet)));
    }
    if (this.scheduled.length > 0 && this.out.writable) this.timer = setTimeout(() => this.deliver(), 1);
  }
}
