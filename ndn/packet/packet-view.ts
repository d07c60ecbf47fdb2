/**
 * A packet as it lies in a receive buffer: offsets instead of objects.
 *
 * Hot path: one `PacketView` per face is filled again for every packet, so receiving a segment allocates nothing
 * (`npm run bench`, row "server, ndnd, client"). A handler must not keep a view, or slices of its buffer, beyond its call.
 */
import { type Name, nameKey } from "./name.ts";
import * as structure from "./structure.ts";
import { maxPacketBytes, nniBytes, readNni, readVarNumber, TT, varNumberBytes } from "./tlv.ts";

/** Reason codes of network Nacks (NDNLPv2 § Network Nack). */
export const nackReasons: Readonly<Record<number, string>> = { 50: "Congestion", 100: "Duplicate", 150: "NoRoute" };

/** A network-layer packet and what its link-layer header said. */
export class PacketView {
  buf: Buffer = Buffer.alloc(0);
  /** `TT.Interest` or `TT.Data`; 0 for an idle LpPacket. */
  type = 0;
  /** Where the Interest or Data begins and ends, type and length included; of a fragment, what it has of them. */
  start = 0;
  end = 0;
  /** Where its Name's components begin and end. */
  nameStart = 0;
  nameEnd = 0;
  /** The PIT token's bytes; `tokenStart === tokenEnd` when there is none. */
  tokenStart = 0;
  tokenEnd = 0;
  congestionMark = 0;
  /** Reason of a network Nack (0 = unspecified); undefined when it is no Nack. */
  nackReason: number | undefined;
  /**
   * Of an NDNLPv2 fragment of a larger packet: which one it is and of how many, -1 where that is malformed. Only datagram
   * faces put these together.
   */
  fragIndex = 0;
  fragCount = 1;
  /** Where the 8 bytes of its Sequence are; -1 when there is none. */
  sequenceAt = -1;

  /** The number in the segment component that `findObject` found. */
  segmentNumber = 0;

  /** Whether this is a part of a packet: `start` and `end`, not `type` and name, say what it has. */
  get isFragment(): boolean {
    return this.fragIndex !== 0 || this.fragCount !== 1;
  }

  /**
   * The entry for the object that this packet's name is a segment of, by the bytes of the name before the segment
   * component; its number is then in `segmentNumber`. A component can only be found from the end by trying its three
   * sizes: a wrong guess is not in the map.
   */
  findObject<T>(objects: ReadonlyMap<string, T>): T | undefined {
    const { buf, nameStart, nameEnd } = this;
    for (let size = 1; size <= 4; size *= 2) {
      const at = nameEnd - 2 - size;
      if (at <= nameStart || buf[at] !== TT.SegmentNameComponent || buf[at + 1] !== size) continue;
      const object = objects.get(nameKey(buf, nameStart, at));
      if (object === undefined) continue;
      this.segmentNumber = readNni(buf, at + 2, nameEnd);
      // Numbers have their shortest form: any other is a name that no one publishes.
      return nniBytes(this.segmentNumber) === size ? object : undefined;
    }
    return undefined;
  }

  /** Whether this packet, which `findObject` found a number in, is a segment of `object`. */
  isSegmentOf(object: Name): boolean {
    const { buf, nameStart, nameEnd } = this;
    const objectEnd = nameStart + object.length;
    return nameEnd === objectEnd + 2 + nniBytes(this.segmentNumber) && object.compare(buf, nameStart, objectEnd) === 0;
  }

  /**
   * Fill this view from the whole packet `buf[start, end)`; false when it is malformed. Behind the Name of a Data it is
   * `DataFields` that says so.
   */
  read(buf: Buffer, start: number, end: number): boolean {
    this.buf = buf;
    this.tokenStart = 0;
    this.tokenEnd = 0;
    this.congestionMark = 0;
    this.nackReason = undefined;
    this.fragIndex = 0;
    this.fragCount = 1;
    return buf[start] === TT.LpPacket ? this.#readLp(start, end) : this.#readNetwork(start, end);
  }

  #readLp(start: number, end: number): boolean {
    const { buf } = this;
    this.type = 0;
    this.start = this.end = 0;
    this.sequenceAt = -1;
    let at = start + 1 + varNumberBytes(buf, start + 1);
    if (at + readVarNumber(buf, start + 1, end) !== end) return false;
    let last = 0;
    while (at < end) {
      const type = readVarNumber(buf, at, end);
      if (type < 0) return false;
      at += varNumberBytes(buf, at);
      const length = readVarNumber(buf, at, end);
      if (length < 0) return false;
      at += varNumberBytes(buf, at);
      const valueEnd = at + length;
      const place = valueEnd > end ? -1 : structure.lpPacket.placeOf(type, last);
      if (place < 0 || (place > 0 && !this.#readLpField(type, at, valueEnd))) return false;
      if (place > 0) last = place;
      at = valueEnd;
    }
    return true;
  }

  #readLpField(type: number, start: number, end: number): boolean {
    switch (type) {
      case TT.LpPitToken:
        this.tokenStart = start;
        this.tokenEnd = end;
        return end - start <= 32;
      case TT.CongestionMark:
        this.congestionMark = Math.max(0, readNni(this.buf, start, end));
        return true;
      case TT.Nack:
        this.nackReason = nackReasonIn(this.buf, start, end);
        return true;
      case TT.LpSequence:
        if (end - start === 8) this.sequenceAt = start;
        return true;
      case TT.LpFragIndex:
        this.fragIndex = readNni(this.buf, start, end);
        return true;
      case TT.LpFragCount:
        this.fragCount = readNni(this.buf, start, end);
        return true;
      case TT.LpFragment:
        return start === end || this.#readLpFragment(start, end);
      default:
        return true;
    }
  }

  #readLpFragment(start: number, end: number): boolean {
    if (!this.isFragment) return this.#readNetwork(start, end);
    this.start = start;
    this.end = end;
    return true;
  }

  #readNetwork(start: number, end: number): boolean {
    const { buf } = this;
    this.start = start;
    this.end = end;
    this.type = buf[start]!;
    if ((this.type !== TT.Interest && this.type !== TT.Data) || end - start > maxPacketBytes) return false;
    const length = readVarNumber(buf, start + 1, end);
    if (length < 0) return false;
    const at = start + 1 + varNumberBytes(buf, start + 1);
    if (at + length !== end || buf[at] !== TT.Name) return false;
    const nameLength = readVarNumber(buf, at + 1, end);
    if (nameLength < 0) return false;
    this.nameStart = at + 1 + varNumberBytes(buf, at + 1);
    this.nameEnd = this.nameStart + nameLength;
    if (this.nameEnd > end) return false;
    return this.type === TT.Data || structure.interest.admits(buf, this.nameEnd, end, structure.namePlace);
  }
}

function nackReasonIn(buf: Buffer, start: number, end: number): number {
  if (end - start < 5 || readVarNumber(buf, start, end) !== 0x0321) return 0;
  const length = readVarNumber(buf, start + 3, end);
  return length < 0 ? 0 : Math.max(0, readNni(buf, start + 4, Math.min(end, start + 4 + length)));
}

/** The stream is not NDN, or carries a packet above the limit: the next packet cannot be found. */
export class FramingError extends Error {
  override readonly name = "FramingError";
}

/** Called for each packet; `buf[start, end)` is valid during the call only. */
export type OnPacket = (buf: Buffer, start: number, end: number) => void;

/**
 * Finds packet boundaries in consecutive chunks of one stream.
 *
 * Hot path: packets are handed out as offsets into the chunk that the socket delivered; only the one packet that
 * straddles two chunks is copied. Saves a copy and an object per segment.
 */
export class PacketScanner {
  readonly #onPacket: OnPacket;
  readonly #limitBytes: number;
  /** The packet that the last chunk cut off. */
  readonly #partial: Buffer;
  #held = 0;

  /** @param limitBytes - Largest packet accepted, type and length included. */
  constructor(onPacket: OnPacket, limitBytes: number) {
    this.#onPacket = onPacket;
    this.#limitBytes = limitBytes;
    this.#partial = Buffer.allocUnsafeSlow(limitBytes);
  }

  /** Scan the next chunk. @throws FramingError when the stream cannot be followed any further. */
  push(chunk: Buffer): void {
    let at = this.#held > 0 ? this.#completePartial(chunk) : 0;
    while (at < chunk.length) {
      const size = this.#packetBytes(chunk, at, chunk.length);
      if (size === 0 || at + size > chunk.length) break;
      this.#onPacket(chunk, at, at + size);
      at += size;
    }
    if (at < chunk.length) this.#held += chunk.copy(this.#partial, this.#held, at);
  }

  /** Add bytes to the held packet until it is whole; returns how many of the chunk were used. */
  #completePartial(chunk: Buffer): number {
    let used = 0;
    let size = this.#packetBytes(this.#partial, 0, this.#held);
    while (size === 0 && used < chunk.length) {
      this.#partial[this.#held++] = chunk[used++]!;
      size = this.#packetBytes(this.#partial, 0, this.#held);
    }
    if (size === 0) return used;
    const taken = chunk.copy(this.#partial, this.#held, used, used + size - this.#held);
    this.#held += taken;
    if (this.#held === size) {
      this.#held = 0;
      this.#onPacket(this.#partial, 0, size);
    }
    return used + taken;
  }

  /** Size of the packet at `at`; 0 when its header is not there yet. */
  #packetBytes(buf: Buffer, at: number, end: number): number {
    const type = buf[at]!;
    if (type !== 0x05 && type !== 0x06 && type !== 0x64) throw new FramingError(`unexpected TLV-TYPE ${type}`);
    if (at + 1 >= end) return 0;
    const header = 1 + varNumberBytes(buf, at + 1);
    if (header === 10) throw new FramingError("packet above the size limit");
    if (at + header > end) return 0;
    const size = header + readVarNumber(buf, at + 1, end);
    if (size > this.#limitBytes) throw new FramingError(`packet of ${size} bytes, limit ${this.#limitBytes}`);
    return size;
  }
}
