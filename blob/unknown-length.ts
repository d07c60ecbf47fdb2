/**
 * A blob whose length the upstream does not say, such as one that is compressed or cached on the way (RFC 9112 § 7.1):
 * how long it is, before the first byte is given out.
 */
import { createHash } from "node:crypto";
import { digestOfHash } from "#oci/reference.ts";
import { BlobCorrupt, type BlobRef, BlobUnavailable, type ResumePoint } from "./source.ts";
import { NotShareable, nextPiece, type Pieces } from "./upstream-response.ts";
import { collectBytes } from "./verify.ts";

/** A few bytes may decode to any number of them. */
const maxCountedBytes = 16 * 1024 ** 3;

/** What helps to find out how long a blob is. */
export interface LengthHelp {
  /** As a manifest says it, or the registry elsewhere; undefined when neither does. Never rejects. */
  sizeOf?: ((blob: BlobRef) => Promise<number | undefined>) | undefined;
  /** Where bytes wait until all of them are counted; undefined when there is no room. */
  spool?: (() => Promise<Spool | undefined>) | undefined;
}

/** Bytes that are written once, then read once. */
export interface Spool {
  /** @throws Error when there is no more room. */
  write(bytes: Uint8Array): Promise<unknown>;
  /** Everything, in order. A piece is valid until the next one is asked for. */
  read(): AsyncIterator<Uint8Array>;
  /** At any time, and more than once. */
  close(): void;
}

/**
 * The size of a blob that is being read from its first byte; `pieces` goes on from there. A short one is counted in
 * memory, a long one's is asked for, or else it is counted in the spool.
 *
 * @throws NotShareable, BlobUnavailable
 * @throws BlobCorrupt when what was counted in the spool is another blob.
 */
export async function lengthOf(
  pieces: Pieces,
  blob: BlobRef,
  help: LengthHelp & Pick<ResumePoint, "arrived">,
  signal: AbortSignal,
): Promise<number> {
  const collected: Uint8Array[] = [];
  let [sizeBytes, isWhole] = [0, false];
  while (sizeBytes <= collectBytes && !isWhole) {
    const bytes = await nextPiece(pieces);
    help.arrived?.();
    if (bytes) collected.push(bytes);
    else isWhole = true;
    sizeBytes += bytes?.length ?? 0;
  }
  pieces.ahead = collected;
  if (isWhole) return sizeBytes;
  const said = await help.sizeOf?.(blob);
  return said ?? (await countInSpool(pieces, blob, help, signal));
}

async function countInSpool(
  pieces: Pieces,
  { digest }: BlobRef,
  { spool: openSpool, arrived }: LengthHelp & Pick<ResumePoint, "arrived">,
  signal: AbortSignal,
): Promise<number> {
  const spool = await openSpool?.();
  if (!spool) throw new NotShareable("upstream does not say how long the blob is");
  const close = () => {
    signal.removeEventListener("abort", close);
    spool.close();
  };
  signal.addEventListener("abort", close);
  try {
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for (let bytes = await nextPiece(pieces); bytes; bytes = await nextPiece(pieces)) {
      arrived?.();
      hash.update(bytes);
      sizeBytes += bytes.length;
      if (sizeBytes > maxCountedBytes) throw new BlobUnavailable(`upstream has more than ${maxCountedBytes} bytes`);
      await intoSpool(spool, bytes);
    }
    const found = digestOfHash(hash.digest());
    if (found !== digest) throw new BlobCorrupt(`${sizeBytes} bytes of upstream hash to ${found}`);
    pieces.iterator = spool.read();
    pieces.onEnd = close;
    return sizeBytes;
  } catch (err: unknown) {
    close();
    throw err;
  }
}

/** A disk without room is no failure of the upstream. */
async function intoSpool(spool: Spool, bytes: Uint8Array): Promise<void> {
  try {
    await spool.write(bytes);
  } catch (err: unknown) {
    throw new NotShareable("upstream does not say how long the blob is, and it cannot be counted", { cause: err });
  }
}
