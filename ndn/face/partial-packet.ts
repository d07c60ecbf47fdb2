/**
 * A packet of which some NDNLPv2 fragments have arrived. It is used for one packet after another, so that a fragment
 * costs one copy and no object.
 */
import type { BufferPool } from "#base/buffer-pool.ts";
import type { PacketView } from "../packet/packet-view.ts";
import { maxPacketBytes, TT } from "../packet/tlv.ts";

/** A packet of the largest size in datagrams of 200 bytes. */
export const maxFragments = 64;
/** Where a packet begins in its buffer: behind the PIT token, which has at most 32 bytes. */
const packetAt = 32;
/** Bytes of a buffer. */
export const partialBytes: number = packetAt + maxPacketBytes;

/** See above; free when no fragment has arrived. */
export class PartialPacket {
  /** Number of the peer that sends it. */
  peer = 0;
  /** Sequence of fragment 0, its upper and lower half. */
  baseHigh = 0;
  baseLow = 0;
  startedMs = 0;
  /** Fragments that have arrived, and how many there are. */
  arrived = 0;
  count = 0;
  readonly #pool: BufferPool;
  #buffer: Buffer | undefined;
  #bytes = 0;
  #isInOrder = true;
  #tokenBytes = 0;
  #congestionMark = 0;
  #nackReason: number | undefined;
  /** Where each fragment is in the buffer, and its length; 0 when it has not arrived. */
  readonly #at = new Uint16Array(maxFragments);
  readonly #lengths = new Uint16Array(maxFragments);

  /** @param pool - Of buffers of `partialBytes`; holds one while fragments arrive. */
  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Become another packet, of which nothing has arrived yet. */
  begin(peer: number, baseHigh: number, baseLow: number, count: number, nowMs: number): void {
    this.peer = peer;
    this.baseHigh = baseHigh;
    this.baseLow = baseLow;
    this.startedMs = nowMs;
    this.count = count;
    this.arrived = 0;
    this.#bytes = 0;
    this.#isInOrder = true;
    this.#congestionMark = 0;
    this.#lengths.fill(0, 0, count);
    this.#buffer ??= this.#pool.take();
  }

  /** Forget what has arrived. */
  drop(): void {
    this.arrived = 0;
    if (this.#buffer === undefined) return;
    this.#pool.give(this.#buffer);
    this.#buffer = undefined;
  }

  /**
   * Add the fragment that `view` is of. When it is the last one missing, `view` becomes that of the whole packet, valid
   * until the next fragment comes.
   *
   * @returns whether the packet is whole.
   */
  add(view: PacketView): boolean {
    const { buf, start, end, fragIndex } = view;
    if (this.#lengths[fragIndex] !== 0) return false; // came twice
    if (this.#bytes + end - start > maxPacketBytes) {
      this.drop();
      return false;
    }
    if (fragIndex === 0) this.#keepLinkFields(view);
    // NFD marks the fragment that finds the queue full, whichever that is.
    if (view.congestionMark > this.#congestionMark) this.#congestionMark = view.congestionMark;
    const at = packetAt + this.#bytes;
    buf.copy(this.#buffer!, at, start, end);
    this.#at[fragIndex] = at;
    this.#lengths[fragIndex] = end - start;
    this.#bytes += end - start;
    this.#isInOrder &&= fragIndex === this.arrived;
    this.arrived++;
    return this.arrived === this.count && this.#finish(view);
  }

  /** Those of the first fragment are those of the packet; other ones are ignored. */
  #keepLinkFields({ buf, tokenStart, tokenEnd, nackReason }: PacketView): void {
    this.#tokenBytes = buf.copy(this.#buffer!, 0, tokenStart, tokenEnd);
    this.#nackReason = nackReason;
  }

  #finish(view: PacketView): boolean {
    const buffer = this.#isInOrder ? this.#buffer! : this.#inOrder();
    this.drop();
    if (buffer[packetAt] === TT.LpPacket || !view.read(buffer, packetAt, packetAt + this.#bytes)) return false;
    view.tokenStart = 0;
    view.tokenEnd = this.#tokenBytes;
    view.congestionMark = this.#congestionMark;
    view.nackReason = this.#nackReason;
    return true;
  }

  #inOrder(): Buffer {
    const from = this.#buffer!;
    from.copy(ordered, 0, 0, packetAt);
    let offset = packetAt;
    for (let index = 0; index < this.count; index++) {
      const at = this.#at[index]!;
      offset += from.copy(ordered, offset, at, at + this.#lengths[index]!);
    }
    return ordered;
  }
}

/** For a packet whose fragments came out of order. */
const ordered = Buffer.alloc(partialBytes);
