/**
 * One direction of a link: propagation delay, a bottleneck with a queue, loss, duplication, reordering, corruption, and
 * whatever an attacker does to single packets.
 */
import type { Socket } from "node:net";
import type { Bottleneck, BottleneckOptions } from "./bottleneck.ts";
import type { Tick } from "./tick.ts";
import { Timetable } from "./timetable.ts";

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
export interface LinkOptions extends BottleneckOptions {
  /** Propagation delay, one way. @defaultValue 0 */
  readonly delayMs?: number;
  /**
   * Propagation takes up to so much longer, drawn again every 20 ms; nothing overtakes, so that what was late and what
   * follows come together. @defaultValue 0
   */
  readonly jitterMs?: number;
  /** Share of packets that are lost before the bottleneck, 0 to 1. @defaultValue 0 */
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
  readonly tick: Tick;
  readonly watcher?: LinkWatcher | undefined;
  /** All connections share it. */
  readonly bottleneck: Bottleneck;
  of(): LinkOptions;
  back(): Link;
}

/** Watches the packets of one direction, without a say. */
export interface LinkWatcher {
  /** One that is not lost came in, and has so long to wait for the bottleneck if the queue has room. */
  queued(waitMs: number, now: number): void;
  /** One comes out at the other end. */
  delivered(packet: Buffer, now: number): void;
}

/** How long a delay that jitters stays as it is. */
const jitterPeriodMs = 20;

/** Packets leave in the order of their times, several per tick. */
export class Link {
  private readonly out: Socket;
  private readonly context: LinkContext;
  private readonly random: () => number;
  private readonly counters: LinkCounters;
  private readonly onTheWay = new Timetable<Buffer>();
  private isTicking = false;
  private jitter = { share: 0, untilMs: 0 };
  /** When the last packet arrives whose delay jitters. */
  private latestMs = 0;

  constructor(out: Socket, random: () => number, counters: LinkCounters, context: LinkContext) {
    this.out = out;
    this.context = context;
    this.random = random;
    this.counters = counters;
  }

  /** A packet enters the link, and is the link's from now on. */
  send(packet: Buffer): void {
    this.counters.packets++;
    this.counters.bytes += packet.length;
    const options = this.context.of();
    if (this.happens(options.loss, "lost")) return;
    const arrivesAtMs = this.throughBottleneck(packet.length, options);
    if (arrivesAtMs === undefined) return;
    if (this.happens(options.corruption, "corrupted")) packet[Math.floor(this.random() * packet.length)]! ^= 0xff;
    const lateMs = this.happens(options.reordering, "reordered") ? (options.reorderMs ?? 5) : 0;
    const mangled = options.mangle?.(packet, this.random);
    if (mangled !== undefined) this.counters.mangled++;
    for (const back of mangled?.back ?? []) this.context.back().schedule(arrivesAtMs, back);
    for (const onward of mangled?.onward ?? [packet]) this.schedule(arrivesAtMs + lateMs, onward, lateMs > 0);
    if (this.happens(options.duplication, "duplicated")) this.schedule(arrivesAtMs, packet);
  }

  private happens(share: number | undefined, counted: keyof LinkCounters): boolean {
    if (share === undefined || share === 0 || this.random() >= share) return false;
    this.counters[counted]++;
    return true;
  }

  /** When the packet comes out at the other end; undefined when the queue has no room for it. */
  private throughBottleneck(bytes: number, options: LinkOptions): number | undefined {
    const now = performance.now();
    const { watcher, bottleneck } = this.context;
    watcher?.queued(bottleneck.waitMs(now), now);
    if (bottleneck.isFull(now, options)) {
      this.counters.overflowed++;
      return undefined;
    }
    const leftAtMs = bottleneck.pass(bytes, now, options);
    const { delayMs = 0, jitterMs = 0 } = options;
    return jitterMs === 0 ? leftAtMs + delayMs : this.withJitter(leftAtMs + delayMs, jitterMs, now);
  }

  private withJitter(atMs: number, jitterMs: number, now: number): number {
    if (now >= this.jitter.untilMs) this.jitter = { share: this.random(), untilMs: now + jitterPeriodMs };
    this.latestMs = Math.max(this.latestMs, atMs + this.jitter.share * jitterMs);
    return this.latestMs;
  }

  private schedule(atMs: number, packet: Buffer, isLate = false): void {
    if (this.out.destroyed) return;
    this.onTheWay.enter(atMs, packet, isLate);
    if (this.isTicking) return;
    this.isTicking = true;
    this.context.tick(() => this.deliver());
  }

  /** Whether it is to be called again. */
  private deliver(): boolean {
    const now = performance.now();
    const { watcher } = this.context;
    this.out.cork(); // one writev(2) for all
    for (let packet = this.onTheWay.take(now); packet !== undefined; packet = this.onTheWay.take(now)) {
      if (this.out.writable) this.out.write(packet);
      watcher?.delivered(packet, now);
    }
    this.out.uncork();
    this.isTicking = !this.onTheWay.isEmpty && !this.out.destroyed;
    return this.isTicking;
  }
}
