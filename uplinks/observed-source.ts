/**
 * A source over one path of several, which measures how its reads go and is left when it crawls.
 */

import type { SegmentRepair } from "#blob/ndn-source.ts";
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  withOpen,
} from "#blob/source.ts";
import type { ReadSample } from "./path-stats.ts";

/** A source such as `NdnSource`, which takes a repair for segments that are wrong everywhere on NDN. */
interface RepairableSource extends BlobSource {
  open(blob: BlobRef, from: ResumePoint, signal: AbortSignal, repair?: SegmentRepair): Promise<BlobRead>;
}

/**
 * `inner`, observed.
 *
 * @param begin - Called when a read begins.
 * @param leavesCrawling - Whether a read breaks off when the path has become much slower than it was; not for a source
 * after which there is none.
 * @param repair - Passed on to `inner`.
 */
export function observedSource(
  inner: RepairableSource,
  begin: () => ReadSample,
  leavesCrawling: boolean,
  repair?: SegmentRepair,
): BlobSource {
  return withOpen(inner, async (blob, from, signal) => {
    const sample = begin();
    const onAbort = () => sample.broke(signal.reason, signal);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const read = await inner.open(blob, from, signal, repair);
      sample.isAwaited = false;
      return { ...read, chunks: observed(read, from, sample, leavesCrawling, signal, onAbort) };
    } catch (err: unknown) {
      signal.removeEventListener("abort", onAbort);
      sample.broke(err, signal);
      throw err;
    }
  });
}

async function* observed(
  { chunks, sizeBytes }: BlobRead,
  { offset, end = sizeBytes }: ResumePoint,
  sample: ReadSample,
  leavesCrawling: boolean,
  signal: AbortSignal,
  onAbort: () => void,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  let left = Math.min(end, sizeBytes) - offset;
  try {
    for (;;) {
      if (leavesCrawling && sample.isCrawling) {
        throw new BlobUnavailable("the path has become much slower than it was, or than another");
      }
      const askedMs = performance.now();
      sample.isAwaited = true;
      const { done, value: bytes } = await iterator.next();
      sample.isAwaited = false;
      if (done === true) break;
      sample.brought(bytes.length, performance.now() - askedMs);
      left -= bytes.length;
      if (left <= 0) sample.ended("complete"); // a reader that has all of it asks no more
      yield bytes;
    }
    sample.ended(left <= 0 ? "complete" : "failed");
  } catch (err: unknown) {
    sample.broke(err, signal);
    throw err;
  } finally {
    signal.removeEventListener("abort", onAbort);
    sample.ended("cancelled");
    await iterator.return?.();
  }
}
