/** Doubles at the `BlobSource` port: one that holds a blob, and those with one fault each. */
import { createHash } from "node:crypto";
import {
  BlobCorrupt,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  type SourceName,
} from "#blob/source.ts";
import { digestOfHash } from "#oci/reference.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";

/** A blob with its bytes. */
export interface TestBlob {
  readonly ref: BlobRef;
  readonly bytes: Buffer;
}

/** A source that keeps count. */
export interface CountingSource extends BlobSource {
  /** Offset of each `open`. */
  readonly openedAt: number[];
  /** Signal of each `open`. */
  readonly signals: AbortSignal[];
}

export const repository = "team/app";
const pieceBytes = 64 * 1024;

/** A blob of seeded bytes. */
export function blobOf(seed: string, sizeBytes: number): TestBlob {
  const bytes = randomBytesOf(seed, sizeBytes);
  return { bytes, ref: { repository, digest: digestOfHash(createHash("sha256").update(bytes).digest()) } };
}

/** Everything is well. */
export function holds({ bytes }: TestBlob, name: SourceName = "ndn"): CountingSource {
  return source(name, async (from) => ({ sizeBytes: bytes.length, chunks: piecesOf(bytes, from.offset) }));
}

/** Sends the bytes before `offset`, then cannot go on. */
export function breaksAfter(offset: number, { bytes }: TestBlob, name: SourceName = "ndn"): CountingSource {
  return source(name, async (from) => ({
    sizeBytes: bytes.length,
    chunks: (async function* () {
      yield* piecesOf(bytes.subarray(0, offset), from.offset);
      throw new BlobUnavailable(`broke off at byte ${offset}`);
    })(),
  }));
}

/** Cannot even begin. */
export function unavailable(name: SourceName = "ndn"): CountingSource {
  return source(name, () => Promise.reject(new BlobUnavailable("no route")));
}

/** The right size, but one byte is another. */
export function wrongBytes({ bytes }: TestBlob, name: SourceName = "ndn", wrongAt = bytes.length >> 1): CountingSource {
  const wrong = Buffer.from(bytes);
  wrong[wrongAt]! ^= 1;
  return source(name, async (from) => ({ sizeBytes: bytes.length, chunks: piecesOf(wrong, from.offset) }));
}

/** Says that the blob has another size than it has. */
export function wrongSize(sizeBytes: number, { bytes }: TestBlob, name: SourceName = "ndn"): CountingSource {
  return source(name, async (from) => ({ sizeBytes, chunks: piecesOf(bytes, from.offset) }));
}

/** Notices by itself that what it has is wrong. */
export function corrupt(name: SourceName = "ndn"): CountingSource {
  return source(name, () => Promise.reject(new BlobCorrupt("metadata is not this blob's")));
}

/** Sends the bytes before `offset`, then nothing until it is cancelled. */
export function stalls(offset: number, { bytes }: TestBlob, name: SourceName = "ndn"): CountingSource {
  return source(name, async (from, signal) => ({
    sizeBytes: bytes.length,
    chunks: (async function* () {
      yield* piecesOf(bytes.subarray(0, offset), from.offset);
      await aborted(signal);
    })(),
  }));
}

/** Opens, but sends nothing before `gate` does. */
export function waitsFor(gate: Promise<void>, { bytes }: TestBlob, name: SourceName = "ndn"): CountingSource {
  return source(name, async (from) => ({
    sizeBytes: bytes.length,
    chunks: (async function* () {
      await gate;
      yield* piecesOf(bytes, from.offset);
    })(),
  }));
}

/** Everything that comes out. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Rejects when the signal fires. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function source(
  name: SourceName,
  open: (from: ResumePoint, signal: AbortSignal) => ReturnType<BlobSource["open"]>,
): CountingSource {
  const [openedAt, signals]: [number[], AbortSignal[]] = [[], []];
  return {
    name,
    openedAt,
    signals,
    open: (_blob, from, signal) => {
      openedAt.push(from.offset);
      signals.push(signal);
      return open(from, signal);
    },
  };
}

async function* piecesOf(bytes: Buffer, from: number): AsyncGenerator<Buffer> {
  for (let at = from; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}
