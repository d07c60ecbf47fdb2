import { type BlobSource, BlobUnavailable, withOpen } from "#blob/source.ts";
import type { Right } from "../rights/rights.ts";

/**
 * `inner` for a puller that the upstream has to let in: both are asked at once, and nothing comes out before the right
 * is granted, nor when the size is not the one that the upstream says. Refused, it is unavailable: the next source is
 * the upstream itself, which gives its own answer.
 */
export function authorizedSource(inner: BlobSource, ask: () => Promise<Right>): BlobSource {
  return withOpen(inner, async (blob, from, signal) => {
    const refused = new AbortController();
    try {
      const [right, read] = await Promise.all([
        ask().then(requireGranted),
        inner.open(blob, from, AbortSignal.any([signal, refused.signal])),
      ]);
      const expected = right.sizeBytes ?? read.sizeBytes;
      if (read.sizeBytes === expected) return read;
      throw new BlobUnavailable(`${inner.name} has ${read.sizeBytes} bytes, upstream ${expected}`);
    } catch (err: unknown) {
      refused.abort(err);
      throw err;
    }
  });
}

function requireGranted(right: Right): Right & { kind: "granted" } {
  if (right.kind === "granted") return right;
  throw new BlobUnavailable(`upstream answers ${right.status} to the puller`);
}
