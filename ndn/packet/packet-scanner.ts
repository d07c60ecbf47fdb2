/**
 * Cuts a byte stream into packets.
 *
 * Hot path: packets are handed out as offsets into the chunk that the socket delivered; only the one packet that
 * straddles two chunks is copied. Saves a copy and an object per segment (`npm run bench`, row "server, ndnd, client").
 */
import { readVarNumber, varNumberBytes } from "./tlv.ts";

/** The stream is not NDN, or carries a packet above the limit: there is no way to find the next packet. */
export class FramingError extends Error {
  override readonly name = "FramingError";
}

/** Called for each packet; `buf[start, end)` is valid during the call only. */
export type OnPacket = (buf: Buffer, start: number, end: number) => void;

/** Finds packet boundaries in consecutive chunks of one stream. */
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
