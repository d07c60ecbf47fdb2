/**
 * Cuts a packet that is larger than a datagram into NDNLPv2 fragments (NDNLPv2 § Fragmentation and Reassembly).
 *
 * Hot path: fragments are written one behind the other into a buffer that is used again, and nothing is allocated
 * (`npm run bench -- --only udp`).
 */
import { randomInt } from "node:crypto";
import { readVarNumber, TT, varNumberBytes, writeVarNumber } from "../packet/tlv.ts";

/** Bytes that all fragments of a packet of the largest size take at most, in datagrams of the smallest size. */
export const maxFragmentsBytes = 12 * 1024;
/** LpPacket, Sequence, FragIndex, FragCount and Fragment, without other fields of the link header. */
const overheadBytes = 1 + 3 + (1 + 1 + 8) + (1 + 1 + 1) + (1 + 1 + 1) + (1 + 3);

/** Numbers and writes the fragments that one face sends. */
export class Fragmenter {
  readonly #mtu: number;
  // No one can guess the numbers; and ndnd, to which 0 is "none", never loses a packet to that.
  #sequenceHigh = randomInt(1, 2 ** 31);
  #sequenceLow = 0;

  /** @param mtu - Bytes of a datagram at most, from `minMtu`. */
  constructor(mtu: number) {
    this.#mtu = mtu;
  }

  /**
   * Write the fragments of the whole packet `packet[start, end)` at `at` of `out`, one behind the other: all but the last
   * are exactly as long as a datagram may be. Each has the packet's link fields (the PIT token): NFD takes those of the
   * first, ndnd those of the fragment that arrives last.
   *
   * @returns the offset behind the last one.
   */
  write(packet: Buffer, start: number, end: number, out: Buffer, at: number): number {
    const isLp = packet[start] === TT.LpPacket;
    const fieldsStart = isLp ? start + 1 + varNumberBytes(packet, start + 1) : start;
    const fieldsEnd = isLp ? endOfFields(packet, fieldsStart, end) : start;
    const payloadStart = isLp ? fieldsEnd + 1 + varNumberBytes(packet, fieldsEnd + 1) : start;
    const fieldsBytes = fieldsEnd - fieldsStart;
    const room = this.#mtu - overheadBytes - fieldsBytes;
    const count = Math.ceil((end - payloadStart) / room);
    let offset = at;
    let from = payloadStart;
    for (let index = 0; index < count; index++) {
      const bytes = Math.min(room, end - from);
      offset = this.#writeNumbers(out, offset, index, count, fieldsBytes, bytes);
      offset += packet.copy(out, offset, fieldsStart, fieldsEnd);
      offset = writeVarNumber(out, bytes, out.writeUInt8(TT.LpFragment, offset));
      offset += packet.copy(out, offset, from, from + bytes);
      from += bytes;
    }
    return offset;
  }

  #writeNumbers(out: Buffer, at: number, index: number, count: number, fieldsBytes: number, bytes: number): number {
    const length = 16 + fieldsBytes + (bytes < 0xfd ? 2 : 4) + bytes;
    let offset = writeVarNumber(out, length, out.writeUInt8(TT.LpPacket, at));
    offset = out.writeUInt8(8, out.writeUInt8(TT.LpSequence, offset));
    offset = out.writeUInt32BE(this.#sequenceLow, out.writeUInt32BE(this.#sequenceHigh, offset));
    offset = out.writeUInt8(index, out.writeUInt16BE(TT.LpFragIndex * 256 + 1, offset));
    offset = out.writeUInt8(count, out.writeUInt16BE(TT.LpFragCount * 256 + 1, offset));
    this.#sequenceLow = (this.#sequenceLow + 1) >>> 0;
    if (this.#sequenceLow === 0) this.#sequenceHigh++;
    return offset;
  }
}

/** Where the Fragment of an LpPacket begins that is known to have one. */
function endOfFields(packet: Buffer, fieldsStart: number, end: number): number {
  let at = fieldsStart;
  while (at < end && packet[at] !== TT.LpFragment) {
    at += varNumberBytes(packet, at);
    const length = readVarNumber(packet, at, end);
    at += varNumberBytes(packet, at) + length;
  }
  return at;
}
