import type { Digest } from "#oci/reference.ts";
import { BlobStore, type BlobStoreOptions } from "#store/blob-store.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";

/** What a test store logged. */
export interface StoreLogLine {
  readonly fields: object;
  readonly text: string;
}

/** An open store, and what it gave its log and metrics. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: BlobStore;
  readonly warnings: StoreLogLine[];
  readonly evicted: number[];
  readonly failures: unknown[];
}

/** Open a store that says what happens to it; closed by the test, or when it is disposed of. */
export async function openStore(
  directory: string,
  maxBytes = 10_000_000,
  options: Partial<BlobStoreOptions> = {},
): Promise<OpenedStore> {
  const [warnings, evicted, failures]: [StoreLogLine[], number[], unknown[]] = [[], [], []];
  const warn = (fields: object, text: string) => warnings.push({ fields, text });
  const store = await BlobStore.open({
    directory,
    maxBytes,
    log: { info: () => {}, warn },
    events: { evicted: (sizeBytes) => evicted.push(sizeBytes), failed: (err) => failures.push(err) },
    pauseMs: 0,
    ...options,
  });
  return { store, warnings, evicted, failures, [Symbol.asyncDispose]: () => store.close() };
}

/** Bytes and their digest, the same for the same seed. */
export function blobOf(seed: string, sizeBytes: number): { bytes: Buffer; digest: Digest } {
  const bytes = randomBytesOf(seed, sizeBytes);
  return { bytes, digest: digestOf(bytes) as Digest };
}

/** Write a blob as a fetch does. */
export async function write(store: BlobStorePort, { bytes, digest }: { bytes: Buffer; digest: Digest }): Promise<void> {
  const writer = (await store.begin(digest, bytes.length))!;
  try {
    for (let at = 0; at < bytes.length; at += 65_536) await writer.write(bytes.subarray(at, at + 65_536));
    await writer.commit();
  } finally {
    await writer.close(false);
  }
}

/** All pieces, copied while they are valid. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

/** The blob's bytes; undefined when it is not cached. */
export async function readBlob(store: BlobStorePort, digest: Digest): Promise<Buffer | undefined> {
  const blob = await store.open(digest);
  if (!blob) return undefined;
  try {
    return await collect(blob.read(0, blob.sizeBytes));
  } finally {
    await blob.close();
  }
}
