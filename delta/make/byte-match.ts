/**
 * What bytes have in common with older ones where both are versions of a program: long runs that are the same but for some
 * bytes here and there, such as addresses. The method is that of bsdiff (Percival, "Naive differences of executable code",
 * 2003), which looks for equal runs and extends them over differences as long as more than half of the bytes are equal; equal
 * runs are found by a hash table, not by a suffix array, in a fifth of the time and of the memory.
 */
import { equalRun, SeedIndex, viewOf } from "./seed-index.ts";

/** The next `length` bytes resemble those of the old ones from `oldStart` on, and `literals` bytes more resemble nothing. */
export interface Match {
  readonly oldStart: number;
  readonly length: number;
  readonly literals: number;
}

/**
 * Matches that follow each other and cover `bytes`.
 *
 * @param index - Whose memory is used.
 */
export function* matchBytes(
  old: Uint8Array,
  bytes: Uint8Array,
  index = new SeedIndex(),
): Generator<Match, void, undefined> {
  index.use(old);
  const pair: Pair = { old, bytes, index, view: viewOf(bytes) };
  let last: Place = { at: 0, old: 0 };
  for (let at = 0; ; ) {
    const run = nextRun(pair, at, last.old - last.at);
    if (run === undefined) break;
    at = run.at + run.length;
    if (run.old - run.at === last.old - last.at) continue;
    const forward = extendForward(pair, last, run.at);
    const back = extendBack(pair, run, last.at);
    const [length, backLength] = withoutOverlap(pair, last, forward, run, back);
    yield { oldStart: last.old, length, literals: run.at - backLength - last.at - length };
    last = { at: run.at - backLength, old: run.old - backLength };
  }
  const length = extendForward(pair, last, bytes.length);
  yield { oldStart: last.old, length, literals: bytes.length - last.at - length };
}

interface Pair {
  readonly old: Uint8Array;
  readonly bytes: Uint8Array;
  readonly index: SeedIndex;
  /** Of `bytes`. */
  readonly view: DataView;
}

/** A position in the bytes, and the one in the old bytes that it is compared with. */
interface Place {
  readonly at: number;
  readonly old: number;
}

interface Run extends Place {
  readonly length: number;
}

/** An equal run at the present distance that is this long is followed without looking for a longer one. */
const trustedRun = 16;
/** By how many equal bytes another distance has to be better. */
const minGain = 8;

/** The next equal run: at the present distance between the two, or one that is clearly better. */
function nextRun({ old, bytes, index, view }: Pair, from: number, distance: number): Run | undefined {
  for (let at = from; at < bytes.length; at += stepAfter(at - from)) {
    const kept = equalRun(old, at + distance, bytes, at);
    if (kept >= trustedRun) return { at, old: at + distance, length: kept };
    index.findLongest(bytes, view, at);
    const { start, length } = index;
    const score = equalBytes(old, at + distance, bytes, at, length);
    if (length > score + minGain) return { at, old: start, length };
    if (length > 0 && length === score) return { at, old: at + distance, length };
  }
  return undefined;
}

/** Bytes that resemble nothing, such as compressed ones, are looked at ever less closely. */
function stepAfter(unmatched: number): number {
  return Math.min(16, 1 + (unmatched >> 7));
}

function equalBytes(old: Uint8Array, oldStart: number, bytes: Uint8Array, start: number, length: number): number {
  let count = 0;
  for (let at = 0; at < length; at++) if (old[oldStart + at] === bytes[start + at]) count++;
  return count;
}

/** How far on it is worth it to count as similar: where equal bytes less different ones are most. */
function extendForward({ old, bytes }: Pair, from: Place, end: number): number {
  const most = Math.min(end - from.at, old.length - from.old);
  let [score, best, length] = [0, 0, 0];
  for (let count = 1; count <= most; count++) {
    score += old[from.old + count - 1] === bytes[from.at + count - 1] ? 1 : -1;
    if (score > best) [best, length] = [score, count];
  }
  return length;
}

function extendBack({ old, bytes }: Pair, from: Place, start: number): number {
  const most = Math.min(from.at - start, from.old);
  let [score, best, length] = [0, 0, 0];
  for (let count = 1; count <= most; count++) {
    score += old[from.old - count] === bytes[from.at - count] ? 1 : -1;
    if (score > best) [best, length] = [score, count];
  }
  return length;
}

/** Both lengths, cut where together they have most equal bytes. */
function withoutOverlap(pair: Pair, last: Place, forward: number, next: Place, back: number): [number, number] {
  const overlap = last.at + forward - (next.at - back);
  if (overlap <= 0) return [forward, back];
  const { old, bytes } = pair;
  const start = next.at - back;
  const [lastOld, nextOld] = [last.old + start - last.at, next.old - back];
  let [score, best, kept] = [0, 0, 0];
  for (let count = 1; count <= overlap; count++) {
    const byte = bytes[start + count - 1];
    score += Number(byte === old[lastOld + count - 1]) - Number(byte === old[nextOld + count - 1]);
    if (score > best) [best, kept] = [score, count];
  }
  return [forward - overlap + kept, back - kept];
}
