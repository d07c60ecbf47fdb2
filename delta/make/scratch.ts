/** Memory for one thing after another: as garbage, the same would take several times as much before it is collected. */
export class Scratch {
  #bytes = new Uint8Array();

  /** So many bytes of any content, valid until the next call. */
  take(length: number): Uint8Array {
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }
}
