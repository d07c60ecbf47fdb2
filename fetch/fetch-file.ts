/** The file of a shared fetch: begun, or gone on with. A store that fails is a store that has no room. */
import type { Logger } from "pino";
import { collectBytes } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import type { BlobStorePort, BlobWriter } from "#store/store-port.ts";

/** Where failures of the store are told; they do not stop a fetch. */
export type FetchLog = Pick<Logger, "warn">;

/** The file of an earlier fetch that broke off; small blobs are fetched from the start. */
export async function resumeFile(store: BlobStorePort, digest: Digest, log: FetchLog): Promise<BlobWriter | undefined> {
  const left = store.partial(digest);
  if (!left || left.writtenBytes === 0 || left.sizeBytes <= collectBytes) return undefined;
  const writer = await begin(store, digest, left.sizeBytes, log);
  if (writer && writer.writtenBytes === 0) {
    await closeFile(writer, false, log);
    return undefined;
  }
  return writer;
}

/** An empty file; undefined when there is no room. What an earlier fetch left is thrown away: it has not been hashed. */
export async function newFile(
  store: BlobStorePort,
  digest: Digest,
  sizeBytes: number,
  log: FetchLog,
): Promise<BlobWriter | undefined> {
  const writer = await begin(store, digest, sizeBytes, log);
  if (!writer || writer.writtenBytes === 0) return writer;
  await closeFile(writer, false, log);
  const again = await begin(store, digest, sizeBytes, log);
  if (!again || again.writtenBytes === 0) return again;
  await closeFile(again, false, log);
  return undefined;
}

/** Close; a failure is only logged, nobody can mend it. */
export async function closeFile(writer: BlobWriter, keep: boolean, log: FetchLog): Promise<void> {
  try {
    await writer.close(keep);
  } catch (err: unknown) {
    log.warn({ err, digest: writer.digest }, "a stored blob could not be closed");
  }
}

async function begin(
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
