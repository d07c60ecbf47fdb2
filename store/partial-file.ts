/**
 * A blob on its way to the disk.
 */
import type { Digest } from "#oci/digest.ts";
import { type OpenFile, readPieces } from "./open-file.ts";
import type { BlobWriter } from "./store-port.ts";

/** What the writer leaves to its store. */
export interface WriterHost {
  /** @throws Error when nothing may be written any more. */
  check(): void;
  failed(err: unknown, writer: PartialFile): void;
  /** The file is complete: make it visible. */
  commit(writer: PartialFile): Promise<void>;
  /** The file is not used any more by its writer. */
  closed(writer: PartialFile, keep: boolean): Promise<void>;
}

/** The writer of one file in `partial/`. */
export class PartialFile implements BlobWriter {
  readonly digest: Digest;
  readonly sizeBytes: number;
  writtenBytes: number;
  readonly file: OpenFile;
  readonly #host: WriterHost;
  #phase: "writing" | "committed" | "closed" = "writing";
  #failure: unknown;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    blob: { readonly digest: Digest; readonly sizeBytes: number; readonly writtenBytes: number },
    file: OpenFile,
    host: WriterHost,
  ) {
    this.digest = blob.digest;
    this.sizeBytes = blob.sizeBytes;
    this.writtenBytes = blob.writtenBytes;
    this.file = file;
    this.#host = host;
  }

  /** The disk has refused some of its bytes. */
  get isBroken(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when no write is under way. */
  async atRest(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkWriting();
    if (this.writtenBytes + bytes.length > this.sizeBytes) {
      throw new RangeError(
        `${this.digest} has ${this.sizeBytes} bytes: ${bytes.length} more after ${this.writtenBytes}`,
      );
    }
    try {
      this.#writing = this.file.write(bytes, this.writtenBytes);
      await this.#writing;
    } catch (err: unknown) {
      this.#failure = err;
      this.#host.failed(err, this);
      throw err;
    }
    this.writtenBytes += bytes.length;
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    if (start < 0 || end > this.writtenBytes) {
      throw new RangeError(`bytes ${start} to ${end} of ${this.digest} are asked, ${this.writtenBytes} are written`);
    }
    yield* readPieces(this.file, start, end, () => {
      if (this.#phase === "closed") throw new Error(`the file of ${this.digest} is closed`);
    });
  }

  async commit(): Promise<void> {
    this.#checkWriting();
    const { size } = await this.file.stat();
    if (size !== this.sizeBytes || this.writtenBytes !== this.sizeBytes) {
      throw new Error(`${this.digest} has ${this.sizeBytes} bytes, not ${Math.min(size, this.writtenBytes)}`);
    }
    this.#checkWriting();
    this.#phase = "committed";
    await this.#host.commit(this);
  }

  async close(keep: boolean): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    await this.#host.closed(this, keep);
  }

  #checkWriting(): void {
    if (this.#phase !== "writing") throw new Error(`the writer of ${this.digest} is ${this.#phase}`);
    if (this.#failure) throw this.#failure;
    this.#host.check();
  }
}
