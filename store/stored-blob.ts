import type { Digest } from "#oci/digest.ts";
import type { OpenFile } from "./open-file.ts";
import { readPieces } from "./pieces.ts";
import type { CachedBlob } from "./store-port.ts";

/** A blob that somebody has open. */
export class StoredBlob implements CachedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly #file: OpenFile;
  readonly #onClose: () => void;
  #isClosed = false;

  constructor(blob: { readonly digest: Digest; readonly sizeBytes: number }, file: OpenFile, onClose: () => void) {
    this.digest = blob.digest;
    this.sizeBytes = blob.sizeBytes;
    this.#file = file;
    this.#onClose = onClose;
  }

  read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < 0 || end > this.sizeBytes) {
      throw new RangeError(`bytes ${start} to ${end} of ${this.digest} are asked, which has ${this.sizeBytes}`);
    }
    return readPieces(this.#file, start, end, () => {
      if (this.#isClosed) throw new Error(`${this.digest} is closed`);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.release();
    this.#onClose();
  }
}
