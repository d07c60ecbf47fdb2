import { BlobCorrupt, type SourceName } from "#blob/source.ts";
import type { VerifiedRead } from "#blob/verify.ts";
import type { BlobWriter } from "#store/store-port.ts";
import type { GrowingBlob } from "./growing-blob.ts";
import type { PartialSource } from "./partial-source.ts";
import { bufferBytes } from "./tail-buffers.ts";
import { WriteBehind } from "./write-behind.ts";

/** One read of the blob, as the pump needs it. */
export interface PumpedRead {
  readonly read: Pick<VerifiedRead, "chunks">;
  /** Brought the first bytes, which are in the file already. */
  readonly partial: PartialSource | undefined;
  /** Whether pieces of a source can be believed without the rest of the blob. */
  readonly isTrusted: (source: SourceName) => boolean;
  /** Whose own sources are being read. */
  readonly fetchedFor: object;
}

/**
 * Moves what a verified read brings into the file, as fast as it comes; when the file cannot take it, into the hands of
 * the readers, in lock-step.
 */
export class FetchPump {
  readonly #grown: GrowingBlob;
  readonly #signal: AbortSignal;
  #behind: WriteBehind | undefined;
  #appendedBytes = 0;

  /** @param writer - Without it all goes through the readers' hands. */
  constructor(grown: GrowingBlob, writer: BlobWriter | undefined, signal: AbortSignal) {
    this.#grown = grown;
    this.#signal = signal;
    if (!writer) {
      grown.goLockStep();
      return;
    }
    let writtenBytes = writer.writtenBytes;
    this.#appendedBytes = writtenBytes;
    const capacity = Math.max(1, Math.min(bufferBytes, grown.sizeBytes - writtenBytes));
    this.#behind = new WriteBehind(writer, capacity, (sizeBytes) => {
      writtenBytes += sizeBytes;
      grown.release(writtenBytes);
    });
    grown.lendFrom(this.#behind);
  }

  /**
   * Release the blob to its end.
   *
   * @throws The errors of the read.
   * @throws BlobCorrupt when the size is not what was said.
   */
  async pump({ read, partial, isTrusted, fetchedFor }: PumpedRead): Promise<void> {
    const { sizeBytes, origins } = this.#grown;
    let offset = 0;
    for await (const { source, bytes } of read.chunks) {
      const end = offset + bytes.length;
      if (end > sizeBytes) throw new BlobCorrupt(`${source} sent more than the ${sizeBytes} bytes that were said`);
      origins.note(end, source, isTrusted(source), fetchedFor);
      // A verified read gives the last bytes only when all of them hash to the digest.
      if (end === sizeBytes) this.#grown.isVerified = true;
      // What is verified is stored even if nobody waits for it any more.
      if (!this.#grown.isVerified) this.#signal.throwIfAborted();
      if (partial && end <= partial.sentBytes) this.#grown.release(end);
      else await this.#put(offset, bytes);
      offset = end;
      if (offset === sizeBytes) break;
    }
    if (offset < sizeBytes) throw new BlobCorrupt(`${offset} bytes came of a blob of ${sizeBytes}`);
    if (!(await this.flush())) await this.#handOver(new Uint8Array(0));
  }

  /** Wait for what is being written; false when not all that was released is in the file, or ever will be. */
  async flush(): Promise<boolean> {
    if (!this.#behind) return !this.#grown.isLockStep;
    return this.#behind.flush();
  }

  /** Wait for what is being written; nothing is pumped any more. */
  async close(): Promise<void> {
    await this.#behind?.close();
  }

  /** Why nothing more goes into the file. */
  get failure(): Error | undefined {
    return this.#behind?.failure;
  }

  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#grown.isLockStep) return this.#grown.hand(offset, bytes, this.#signal);
    if (offset !== this.#appendedBytes) {
      // The partial broke off before its end: what follows in the file has not been hashed.
      this.#grown.goLockStep();
      return this.#grown.hand(offset, bytes, this.#signal);
    }
    const taken = await this.#behind!.append(bytes);
    this.#appendedBytes += taken;
    // The last chunk is read from the file: whoever was served whole finds the blob in the store when asking again.
    if (this.#appendedBytes < this.#grown.sizeBytes) this.#grown.hold(this.#appendedBytes);
    if (taken < bytes.length) await this.#handOver(bytes.subarray(taken));
  }

  /** The file has failed: what it did not take goes to the readers, `rest` after it. */
  async #handOver(rest: Uint8Array): Promise<void> {
    if (this.#grown.isLockStep) return;
    const unwritten = this.#behind!.unwritten;
    let at = this.#appendedBytes - unwritten.reduce((sum, { length }) => sum + length, 0);
    this.#grown.goLockStep();
    for (const bytes of [...unwritten, rest]) {
      if (bytes.length > 0) await this.#grown.hand(at, bytes, this.#signal);
      at += bytes.length;
    }
  }
}
