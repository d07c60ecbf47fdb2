/**
 * A source that is opened when its turn on the uplink has come. It goes around everything that watches the time (the
 * hedge, what is known of the path): to wait for a turn is no fault of the path.
 */
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  withOpen,
} from "#blob/source.ts";
import type { Turn, TurnWish } from "./turn.ts";
import type { Turns } from "./turns.ts";

/** What is known of a read before it begins. */
export interface ReadOutlook {
  /** Of the whole blob, where it is known. */
  readonly sizeBytes: number | undefined;
  /** Asked when the read begins to wait; it may tell the size. Never rejects. */
  readonly prepare: () => Promise<number | undefined>;
}

/**
 * `inner`, opened when its turn has come.
 *
 * @param isOfUse - Whether the path still is, by then.
 */
export function inTurn(
  inner: BlobSource,
  turns: Turns,
  { sizeBytes, prepare }: ReadOutlook,
  isOfUse: () => boolean,
): BlobSource {
  return withOpen(inner, async (blob, from, signal) => {
    const known = { ...from, sizeBytes: from.sizeBytes ?? sizeBytes };
    const { arrived, isWaitedFor } = from;
    const wish: TurnWish = { arrived, isWaitedFor, sizeBytes: wantedBytes(known) };
    void prepare().then((size) => {
      known.sizeBytes ??= size;
      wish.sizeBytes ??= wantedBytes(known);
    });
    const turn = await turns.take(wish, signal);
    try {
      if (!isOfUse()) throw new BlobUnavailable("no one answers on the uplink any more");
      return await openedIn(turn, inner, blob, known, signal);
    } catch (err: unknown) {
      turn.end();
      throw err;
    }
  });
}

/** Undefined where no bound is known. */
function wantedBytes({ offset, end, sizeBytes }: ResumePoint, size = sizeBytes): number | undefined {
  const until = Math.min(end ?? Number.POSITIVE_INFINITY, size ?? Number.POSITIVE_INFINITY);
  return until === Number.POSITIVE_INFINITY ? undefined : Math.max(0, until - offset);
}

async function openedIn(
  turn: Turn,
  inner: BlobSource,
  blob: BlobRef,
  from: ResumePoint,
  signal: AbortSignal,
): Promise<BlobRead> {
  const read = await inner.open(blob, from, signal);
  if ((read.source ?? inner.name) === inner.name) {
    turn.opened(wantedBytes(from, read.sizeBytes)!);
    return { ...read, chunks: takenIn(turn, read.chunks) };
  }
  turn.end(); // overtaken: it comes from elsewhere
  return read;
}

async function* takenIn(turn: Turn, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    turn.asks();
    for await (const bytes of chunks) {
      turn.brought();
      yield bytes;
      const paused = turn.pause();
      if (paused) await paused;
      turn.asks();
    }
  } finally {
    turn.end();
  }
}
