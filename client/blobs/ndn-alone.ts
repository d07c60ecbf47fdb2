/**
 * Reads of blobs where NDN is all there is: no other source takes over, so they are tried again.
 */
import { type BlobSource, BlobUnknown, withOpen } from "#blob/source.ts";

/** How often the last path is tried again; one that is silent takes 2 s each time, and the puller may leave earlier. */
const repeats = 12;

/** The same paths, and the last of them again and again; that the blob is not there is final. */
export function insistently(paths: readonly BlobSource[]): readonly BlobSource[] {
  let unknown: BlobUnknown | undefined;
  const tried = (path: BlobSource) =>
    withOpen(path, async (blob, from, signal) => {
      if (unknown) throw unknown;
      return path.open(blob, from, signal).catch((err: unknown) => {
        if (err instanceof BlobUnknown) unknown = err;
        throw err;
      });
    });
  const last = paths.at(-1);
  return [...paths, ...(last ? Array.from({ length: repeats }, () => last) : [])].map(tried);
}
