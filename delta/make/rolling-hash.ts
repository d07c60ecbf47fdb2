/**
 * Hashes of some of the positions in bytes, chosen by content alone: bytes that occur elsewhere again, at whatever position,
 * give the same hashes there (a gear hash, as chunking by content has it).
 */

/** Depends on the last 32 bytes. */
const gear = new Uint32Array(256).map((_, byte) => mix(byte + 1));

/** Takes bytes piece by piece. */
export class RollingHash {
  readonly #shift: number;
  #hash = 0;
  #position = 0;

  /** @param sampleLog - One in 2 to the power of this many positions is taken. */
  constructor(sampleLog: number) {
    this.#shift = 32 - sampleLog;
  }

  /** Call `found` with the hash, spread over 32 bits, and the position of each that is taken. */
  add(bytes: Uint8Array, found: (hash: number, position: number) => void): void {
    let hash = this.#hash;
    const shift = this.#shift;
    for (let at = 0; at < bytes.length; at++) {
      hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
      if (hash >>> shift === 0) found(mix(hash), this.#position + at);
    }
    this.#hash = hash;
    this.#position += bytes.length;
  }
}

/** The last step of MurmurHash3. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
