import { type BlobSource, BlobUnavailable, type SourceName } from "#blob/source.ts";
import { aborted, type CountingSource, type TestBlob } from "#test/blob/faulty-sources.ts";

/** A source that sends as far as the test has let it. */
export interface GatedSource extends CountingSource {
  /** Send up to this byte. */
  allow(offset: number): void;
  /** Break off with this, from where it is. */
  breakOff(err?: Error): void;
}

const pieceBytes = 64 * 1024;

/** Holds the blob, but sends nothing before `allow`. */
export function gated({ bytes }: TestBlob, name: SourceName = "upstream", isVerified?: boolean): GatedSource {
  let allowed = 0;
  let failure: Error | undefined;
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const [openedAt, signals]: [number[], AbortSignal[]] = [[], []];
  async function* chunks(from: number, signal: AbortSignal) {
    const leased = Buffer.alloc(pieceBytes); // valid until the next piece is asked for
    for (let at = from; at < bytes.length; ) {
      const end = Math.min(allowed, at + pieceBytes, bytes.length);
      if (end > at) {
        const length = bytes.copy(leased, 0, at, end);
        at = end;
        yield leased.subarray(0, length);
        leased.fill(0xff);
      } else {
        if (failure) throw failure;
        await Promise.race([changed.promise, aborted(signal)]);
      }
    }
  }
  const open: BlobSource["open"] = async (_blob, from, signal) => {
    openedAt.push(from.offset);
    signals.push(signal);
    return { sizeBytes: bytes.length, chunks: chunks(from.offset, signal) };
  };
  return {
    name,
    isVerified,
    openedAt,
    signals,
    open,
    allow: (offset) => {
      allowed = Math.max(allowed, offset);
      change();
    },
    breakOff: (err = new BlobUnavailable("broke off")) => {
      failure = err;
      change();
    },
  };
}

/** Never answers. */
export function silent(name: SourceName = "ndn"): BlobSource {
  return { name, open: (_blob, _from, signal) => aborted(signal) };
}
