/** The file of a shared fetch: begun, or continued. A store that fails is a store that has no room. */
import type { Logger } from "pino";
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobRead, type BlobRef, type BlobSource, BlobUnavailable, type ResumePoint } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import type { BlobStorePort, BlobWriter, CachedBlob } from "#store/store-port.ts";

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

/** Everything that is in the file has been read: not a failure, the next source continues from there. */
export class RestMissing extends BlobUnavailable {}

/** The same events, without the end of a partial, which is no failure. */
export function withoutRestMissing(events: ReadEvents = {}): ReadEvents {
  return {
    ...events,
    unavailable: (source, offset, err) => {
      if (!(err instanceof RestMissing)) events.unavailable?.(source, offset, err);
    },
  };
}

/**
 * The bytes that a broken-off fetch left on disk, as the first of several sources: so they are hashed with the rest,
 * and the next source continues at the byte where they end.
 */
export class PartialSource implements BlobSource {
  readonly name = "store";
  /** Bytes `[0, sentBytes)` of the read came from here. */
  sentBytes = 0;
  readonly #file: Pick<BlobWriter, "sizeBytes" | "read">;
  readonly #endBytes: number;

  constructor(file: Pick<BlobWriter, "sizeBytes" | "writtenBytes" | "read">) {
    this.#file = file;
    this.#endBytes = file.writtenBytes; // the file grows while the later sources write to it
  }

  async open(_blob: BlobRef, from: ResumePoint, signal: AbortSignal): Promise<BlobRead> {
    return { sizeBytes: this.#file.sizeBytes, chunks: this.#chunksFrom(from.offset, signal) };
  }

  async *#chunksFrom(start: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let offset = start;
    try {
      for await (const bytes of this.#file.read(offset, this.#endBytes)) {
        signal.throwIfAborted();
        offset += bytes.length;
        this.sentBytes = offset;
        yield bytes;
      }
    } catch (err: unknown) {
      throw new BlobUnavailable(`the store cannot read on at byte ${offset}`, { cause: err });
    }
    if (offset < this.#file.sizeBytes)
      throw new RestMissing(`the store has ${offset} of ${this.#file.sizeBytes} bytes`);
  }
}
