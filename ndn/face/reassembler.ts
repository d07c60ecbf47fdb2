/**
 * Puts packets together from NDNLPv2 fragments, which may arrive in any order, twice, or not at all, and may be made up by
 * a stranger (NDNLPv2 § Fragmentation and Reassembly).
 *
 * Hot path: the fragments of a packet mostly arrive one behind the other, so the last packet is tried first
 * (`npm run bench -- --only udp`).
 */
import { BufferPool } from "#base/buffer-pool.ts";
import type { PacketView } from "../packet/packet-view.ts";
import { FragmentLoss } from "./fragment-loss.ts";
import { maxFragments, PartialPacket, partialBytes } from "./partial-packet.ts";

/** From its first fragment on, as NFD's after the last one. */
const timeoutMs = 500;

/** What may be chosen about a reassembler. */
export interface ReassemblerLimits {
  /** Partial packets at a time, each of up to 8.8 KB. Beyond that the oldest one gives way. */
  readonly partials: number;
  /** Of one peer. */
  readonly partialsOfPeer: number;
}

/** The partial packets of one socket. */
export class Reassembler {
  readonly #limits: ReassemblerLimits;
  readonly #pool: BufferPool;
  readonly #partials: PartialPacket[] = [];
  readonly #loss = new FragmentLoss();
  /** The one that the last fragment belonged to. */
  #latest: PartialPacket | undefined;

  constructor(limits: ReassemblerLimits) {
    this.#limits = limits;
    this.#pool = new BufferPool(partialBytes, limits.partialsOfPeer);
  }

  /** Share of the fragments that have not arrived lately, 0 to 1. */
  get loss(): number {
    return this.#loss.share;
  }

  /**
   * Take the fragment that `view` is of, from the peer with this number. When it completes a packet, `view` becomes that
   * of the packet, which is valid until the next fragment comes.
   *
   * @returns whether it does.
   */
  accept(view: PacketView, peer: number): boolean {
    const { buf, sequenceAt, fragIndex, fragCount } = view;
    if (sequenceAt < 0 || fragIndex < 0 || fragIndex >= fragCount || fragCount > maxFragments) return false;
    if (view.start === view.end) return false;
    const low = buf.readUInt32BE(sequenceAt + 4);
    const baseLow = (low - fragIndex) >>> 0;
    const baseHigh = (buf.readUInt32BE(sequenceAt) - (baseLow > low ? 1 : 0)) >>> 0;
    const partial = this.#find(peer, baseHigh, baseLow, fragCount);
    return partial.count === fragCount && partial.add(view);
  }

  #find(peer: number, baseHigh: number, baseLow: number, count: number): PartialPacket {
    const nowMs = performance.now();
    const latest = this.#latest;
    if (latest && isOf(latest, peer, baseHigh, baseLow, nowMs)) return latest;
    const other = this.#partials.find((partial) => isOf(partial, peer, baseHigh, baseLow, nowMs));
    this.#latest = other ?? this.#free(peer, nowMs);
    if (other) return other;
    const { arrived, count: all } = this.#latest;
    if (all > 0) this.#loss.note(all, arrived > 0 ? all - arrived : 0, nowMs);
    this.#latest.begin(peer, baseHigh, baseLow, count, nowMs);
    return this.#latest;
  }

  /** One that may become another packet. */
  #free(peer: number, nowMs: number): PartialPacket {
    let free: PartialPacket | undefined;
    let oldest: PartialPacket | undefined;
    let oldestOfPeer: PartialPacket | undefined;
    let ofPeer = 0;
    for (const partial of this.#partials) {
      if (!isLive(partial, nowMs)) {
        free = partial;
        continue;
      }
      if (oldest === undefined || partial.startedMs < oldest.startedMs) oldest = partial;
      if (partial.peer !== peer) continue;
      ofPeer++;
      if (oldestOfPeer === undefined || partial.startedMs < oldestOfPeer.startedMs) oldestOfPeer = partial;
    }
    if (ofPeer >= this.#limits.partialsOfPeer) return oldestOfPeer!;
    if (free) return free;
    if (this.#partials.length >= this.#limits.partials) return oldest!;
    return this.#add();
  }

  #add(): PartialPacket {
    const partial = new PartialPacket(this.#pool);
    this.#partials.push(partial);
    return partial;
  }
}

function isLive(partial: PartialPacket, nowMs: number): boolean {
  return partial.arrived > 0 && nowMs - partial.startedMs < timeoutMs;
}

function isOf(partial: PartialPacket, peer: number, baseHigh: number, baseLow: number, nowMs: number): boolean {
  return (
    partial.baseLow === baseLow && partial.baseHigh === baseHigh && partial.peer === peer && isLive(partial, nowMs)
  );
}
