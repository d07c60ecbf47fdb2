/**
 * Moves what a verified read brings into the file, as fast as it comes; when the file cannot take it, to all readers at
 * once, as a broadcast.
 *
 * Writes while the next bytes are being fetched: what comes during a write is collected and written in one piece, which
 * saves one trip to the thread pool per 64 KiB chunk of an upstream's body.
 */
import type { Logger } from "pino";
import { ChangeNotifier } from "#base/waiting.ts";
import { BlobCorrupt, type BlobSource, type SourceName } from "#blob/source.ts";
import { collectBytes, type VerifiedRead } from "#blob/verify.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStorePort, BlobWriter, CachedBlob } from "#store/store-port.ts";
import { BufferRing, bufferBytes } from "./buffer-ring.ts";
import type { FetchReader } from "./fetch-reader.ts";
import type { InFlightBlob } from "./in-flight-blob.ts";
import type { PartialSource } from "./partial-source.ts";

/** One read of the blob, as the writer needs it. */
export interface WrittenRead {
  readonly read: Pick<VerifiedRead, "chunks">;
  /** Brought the first bytes, which are in the file already. */
  readonly partial: PartialSource | undefined;
  readonly sources: readonly BlobSource[];
  /** Whose own sources are being read. */
  readonly fetchedFor: FetchReader;
}

/** Writes one blob, from one read after another. */
export class FetchWriter {
  /** Why nothing more goes into the file. */
  failure: Error | undefined;
  readonly #inFlight: InFlightBlob;
  readonly #file: BlobWriter | undefined;
  readonly #signal: AbortSignal;
  readonly #ring: BufferRing;
  readonly #changes = new ChangeNotifier();
  #isWriting = false;
  #appendedBytes: number;
  #writtenBytes: number;

  /** @param file - Without it all is broadcast to the readers. */
  constructor(inFlight: InFlightBlob, file: BlobWriter | undefined, signal: AbortSignal) {
    this.#inFlight = inFlight;
    this.#file = file;
    this.#signal = signal;
    this.#appendedBytes = this.#writtenBytes = file?.writtenBytes ?? 0;
    const capacity = Math.max(1, Math.min(bufferBytes, inFlight.sizeBytes - this.#writtenBytes));
    this.#ring = new BufferRing(capacity, this.#writtenBytes);
    inFlight.resumedBytes = this.#writtenBytes;
    if (file) inFlight.leaser = this.#ring;
    else inFlight.beginBroadcast();
  }

  /**
   * Release the blob to its end.
   *
   * @throws The errors of the read.
   * @throws BlobCorrupt when the size is not what was said.
   */
  async write({ read, partial, sources, fetchedFor }: WrittenRead): Promise<void> {
    const inFlight = this.#inFlight;
    const { sizeBytes } = inFlight;
    const trusted = trustedOf(sources);
    let offset = 0;
    for await (const { source, bytes } of read.chunks) {
      const end = offset + bytes.length;
      if (end > sizeBytes) throw new BlobCorrupt(`${source} sent more than the ${sizeBytes} bytes that were said`);
      inFlight.origins.note(end, source, trusted.has(source), fetchedFor);
      // A verified read gives the last bytes only when all of them hash to the digest.
      if (end === sizeBytes) inFlight.isVerified = true;
      // What is verified is stored even if no one waits for it any more.
      if (!inFlight.isVerified) this.#signal.throwIfAborted();
      if (partial && end <= partial.sentBytes) inFlight.release(end);
      else await this.#put(offset, bytes);
      offset = end;
      if (offset === sizeBytes) break;
    }
    if (offset < sizeBytes) throw new BlobCorrupt(`${offset} bytes came of a blob of ${sizeBytes}`);
    if (!(await this.flush())) await this.#broadcastRest(new Uint8Array(0));
  }

  /** Wait for what is being written; false when not all that was released is in the file, or ever will be. */
  async flush(): Promise<boolean> {
    while (this.#isWriting) await this.#changes.changed();
    return this.#file !== undefined ? this.failure === undefined : !this.#inFlight.isBroadcasting;
  }

  /** Store the blob, if all of it is in the file; a failure is only logged. */
  async commit(log: FetchLog): Promise<void> {
    if (!this.#file || this.#inFlight.isBroadcasting) return;
    try {
      await this.#file.commit();
    } catch (err: unknown) {
      log.warn({ err, digest: this.#file.digest }, "a fetched blob could not be stored");
    }
  }

  /** Wait for what is being written; nothing is written afterwards, and nothing leased. */
  async close(): Promise<void> {
    await this.flush();
    this.#ring.close();
  }

  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    const inFlight = this.#inFlight;
    // The partial broke off before its end: what follows in the file has not been hashed.
    if (offset !== this.#appendedBytes && !inFlight.isBroadcasting) inFlight.beginBroadcast();
    if (inFlight.isBroadcasting) return inFlight.broadcast(offset, bytes, this.#signal);
    let taken = 0;
    while (taken < bytes.length && !this.failure) {
      const copied = this.#ring.append(taken === 0 ? bytes : bytes.subarray(taken));
      if (copied === 0) await this.#changes.changed();
      else if (!this.#isWriting) void this.#writeAll();
      taken += copied;
    }
    this.#appendedBytes += taken;
    // The last chunk waits for the file: a reader that was served whole finds the blob in the store when it asks again.
    if (this.#appendedBytes < inFlight.sizeBytes) inFlight.hold(this.#appendedBytes);
    if (taken < bytes.length) await this.#broadcastRest(bytes.subarray(taken));
  }

  // Never rejects: what meets the failure has a use for the bytes.
  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let [piece] = this.#ring.unwritten; piece; [piece] = this.#ring.unwritten) {
        await this.#file!.write(piece);
        this.#ring.written(piece.length);
        this.#changes.notify();
        this.#writtenBytes += piece.length;
        this.#inFlight.hold(this.#writtenBytes);
        this.#inFlight.release(this.#writtenBytes);
      }
    } catch (err: unknown) {
      this.failure = err instanceof Error ? err : new Error(String(err));
    } finally {
      this.#isWriting = false;
      this.#changes.notify();
    }
  }

  /** The file has failed: what it did not take is broadcast, `rest` after it. */
  async #broadcastRest(rest: Uint8Array): Promise<void> {
    if (this.#inFlight.isBroadcasting) return;
    const { unwritten } = this.#ring;
    let at = this.#appendedBytes - unwritten.reduce((sum, { length }) => sum + length, 0);
    this.#inFlight.beginBroadcast();
    for (const bytes of [...unwritten, rest]) {
      if (bytes.length > 0) await this.#inFlight.broadcast(at, bytes, this.#signal);
      at += bytes.length;
    }
  }
}

/** Sources whose pieces can be believed without the rest of the blob: the upstream's own, or checked one by one. */
function trustedOf(sources: readonly BlobSource[]): ReadonlySet<SourceName> {
  const trusted = new Set<SourceName>();
  for (const { name } of sources) trusted.add(name);
  for (const { name, isVerified } of sources) if (!isVerified) trusted.delete(name);
  return trusted.add("upstream");
}

/** Where failures of the store are logged; they do not stop a fetch. */
export type FetchLog = Pick<Logger, "warn">;

/** The file of an earlier fetch that broke off; small blobs are fetched from the start. */
export async function resumeFile(store: BlobStorePort, digest: Digest, log: FetchLog): Promise<BlobWriter | undefined> {
  const left = store.partial(digest);
  if (!left || left.writtenBytes === 0 || left.sizeBytes <= collectBytes) return undefined;
  const file = await beginFile(store, digest, left.sizeBytes, log);
  if (!file || file.writtenBytes > 0) return file;
  await closeFile(file, false, log);
  return undefined;
}

/** An empty file; undefined when there is no room. What an earlier fetch left is thrown away: it has not been hashed. */
export async function newFile(
  store: BlobStorePort,
  digest: Digest,
  sizeBytes: number,
  log: FetchLog,
): Promise<BlobWriter | undefined> {
  for (let tries = 0; tries < 2; tries++) {
    const file = await beginFile(store, digest, sizeBytes, log);
    if (!file || file.writtenBytes === 0) return file;
    await closeFile(file, false, log);
  }
  return undefined;
}

/** Close; a failure is only logged, there is nothing to be done about it. @param keep - Whether a blob that is not whole stays. */
export async function closeFile(file: BlobWriter | CachedBlob, keep: boolean, log: FetchLog): Promise<void> {
  try {
    await file.close(keep);
  } catch (err: unknown) {
    log.warn({ err, digest: file.digest }, "a stored blob could not be closed");
  }
}

async function beginFile(
  store: BlobStorePort,
  digest: Digest,
  sizeBytes: number,
  log: FetchLog,
): Promise<BlobWriter | undefined> {
  try {
    return await store.begin(digest, sizeBytes);
  } catch (err: unknown) {
    log.warn({ err, digest }, "the store cannot begin a blob");
    return undefined;
  }
}
