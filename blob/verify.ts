/**
 * A wrong blob never completes: what leaves here hashes to its digest, or ends before its last bytes.
 */
import { type FallbackRead, openWithFallback, type ReadEvents, type SourcedChunk } from "./fallback.ts";
import { BlobCorrupt, type BlobRef, type BlobSource, type SourceName } from "./source.ts";

/** Blobs up to this size are collected and checked before their first byte is given out. */
export const collectBytes = 8 * 1024 * 1024;

/** A running read of one blob that is checked while it is read. */
export interface VerifiedRead {
  readonly sizeBytes: number;
  /** The source of the first byte. */
  readonly source: SourceName;
  /** The bytes in order; throws BlobCorrupt before the last of them when the digest is wrong. */
  readonly chunks: AsyncIterable<SourcedChunk>;
}

/**
 * Begin to read a blob. One of at most 8 MiB is there and right when this resolves: what was wrong has been replaced by
 * the next source. A longer one is passed on as it arrives, its last bytes only when the digest is right.
 *
 * @throws BlobUnavailable and the other errors of `openWithFallback`.
 * @throws BlobCorrupt when no source has the right bytes of a small blob.
 */
export async function openVerified(
  sources: readonly BlobSource[],
  blob: BlobRef,
  signal: AbortSignal,
  events: ReadEvents = {},
): Promise<VerifiedRead> {
  let left = sources;
  for (;;) {
    const read = await openWithFallback(left, blob, signal, events);
    const { sizeBytes, source } = read;
    if (sizeBytes > collectBytes) return { sizeBytes, source, chunks: checked(read, blob, events) };
    try {
      const chunks = await collect(checked(read, blob, events));
      return { sizeBytes, source, chunks: replay(chunks) };
    } catch (err: unknown) {
      left = read.left;
      if (!(err instanceof BlobCorrupt) || left.length === 0) throw err;
    }
  }
}

async function* checked(read: FallbackRead, blob: BlobRef, events: ReadEvents): AsyncGenerator<SourcedChunk> {
  let offset = 0;
  if (read.sizeBytes === 0) check(read, blob, events);
  for await (const chunk of read.chunks) {
    offset += chunk.bytes.length;
    if (offset === read.sizeBytes) check(read, blob, events);
    yield chunk;
  }
}

function check(read: FallbackRead, blob: BlobRef, events: ReadEvents): void {
  const digest = read.digest();
  if (digest === blob.digest) return;
  const contributors = read.contributors.size === 0 ? [read.source] : [...read.contributors];
  const err = new BlobCorrupt(`${read.sizeBytes} bytes from ${contributors.join(" and ")} hash to ${digest}`);
  for (const source of contributors) events.corrupt?.(source, err);
  throw err;
}

async function collect(chunks: AsyncIterable<SourcedChunk>): Promise<SourcedChunk[]> {
  const collected: SourcedChunk[] = [];
  for await (const { source, bytes } of chunks) collected.push({ source, bytes: Buffer.from(bytes) });
  return collected;
}

async function* replay(chunks: readonly SourcedChunk[]): AsyncGenerator<SourcedChunk> {
  yield* chunks;
}
