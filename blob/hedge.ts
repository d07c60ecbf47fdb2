/**
 * NDN against HTTPS: when the first bytes over NDN are late, the upstream is asked as well, and the first to bring bytes
 * wins. Only the beginning of a read is raced; one that stalls later breaks off by its own timeout, and the next source
 * continues from its byte.
 */
import { following } from "#base/abort.ts";
import { type Contender, Race, type RaceOptions } from "./race.ts";
import {
  type BlobRead,
  type BlobRef,
  type BlobSource,
  BlobUnavailable,
  type ResumePoint,
  type SourceName,
  withOpen,
} from "./source.ts";

/** `auto` follows what was seen lately, a number is a fixed time in milliseconds, `off` means never. */
export type HedgeMode = "off" | "auto" | number;

/** When to hedge. */
export interface HedgeDelay {
  /** The first bytes came after `ms`; or they had not come by then, and no one waits for them any more. */
  observe(ms: number): void;
  /** Patience with the next blob, in milliseconds; undefined: without end. */
  delayMs(): number | undefined;
  /** The same, at most, where NDN brings other blobs at the time, or has answered and is far away. */
  busyDelayMs(): number | undefined;
}

/** Settings of {@link createHedgeDelay}. */
export interface HedgeDelayOptions {
  readonly mode: HedgeMode;
  /** `auto` is never less, @defaultValue 1000 */
  readonly floorMs?: number | undefined;
  /** nor more than this. @defaultValue 4000 */
  readonly ceilingMs?: number | undefined;
}

/** How one read of a blob is hedged. */
export interface HedgeOptions extends RaceOptions {
  readonly upstream: BlobSource;
  /** Shared by all reads. */
  readonly delay: HedgeDelay;
  /** Whether NDN brings other blobs just now: one that is late then waits in a queue. @defaultValue no */
  readonly isBusy?: (() => boolean) | undefined;
}

/** A path that has answered after so long may need as many times that for the first bytes: for the right, or after a loss. */
const answeredFactor = 3;
const window = 64;
const percentile = 0.95;
/** A read is late when it takes this many times as long as nearly all before it. */
const factor = 2;
const longestMs = 600_000;

/**
 * A hedge for all NDN sources of one read, which share their patience: the second has only what the first left.
 *
 * The source that it makes has the name of the one it is given; a read that the upstream won says so in `source`. When
 * NDN fails before it is late, its failure is thrown at once: the next source is to be the upstream. With both failed it
 * is NDN's failure too, unless the upstream's answer is one that the puller has to see.
 */
export function hedgeFor(options: HedgeOptions): (ndn: BlobSource) => BlobSource {
  const { delay, isBusy } = options;
  const [patience, longest] = [delay.delayMs(), delay.busyDelayMs()];
  if (patience === undefined || longest === undefined) return (ndn) => ndn;
  let leftMs = patience;
  return (ndn) =>
    withOpen(ndn, async (blob, from, signal) => {
      const beganMs = performance.now();
      let answeredMs = 0;
      const arrived = () => {
        answeredMs ||= performance.now() - beganMs;
        from.arrived?.();
      };
      const attempt = new Attempt(ndn, blob, { ...from, arrived }, signal);
      try {
        let late = await isLate(attempt, leftMs);
        const longMs = isBusy?.() ? longest : Math.min(longest, answeredFactor * answeredMs);
        if (late && longMs > patience) late = await isLate(attempt, longMs - patience);
        if (!late) delay.observe(performance.now() - beganMs);
        const askUpstream = () => new Attempt(options.upstream, blob, from, signal);
        const read = await (late ? new Race(options, attempt, signal, beganMs).run(askUpstream) : attempt.toRead());
        leftMs = patience;
        return read;
      } catch (err: unknown) {
        leftMs = Math.max(0, leftMs - (performance.now() - beganMs));
        throw err;
      }
    });
}

/** Whether the time is over before the first bytes are there. @throws The failure of `ndn`, if it comes before. */
async function isLate(ndn: Attempt, patienceMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, patienceMs, true);
  try {
    return await Promise.race([ndn.begun.then(() => false), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A delay by mode: `auto` is twice the 95th percentile of the last 64 times, between the floor and the ceiling. */
export function createHedgeDelay({ mode, floorMs = 1_000, ceilingMs = 4_000 }: HedgeDelayOptions): HedgeDelay {
  const seenMs: number[] = [];
  const observe = (ms: number) => {
    seenMs.push(ms);
    if (seenMs.length > window) seenMs.shift();
  };
  const fixed = (ms: number | undefined) => ({ observe, delayMs: () => ms, busyDelayMs: () => ms });
  if (mode === "off") return fixed(undefined);
  if (mode !== "auto") return fixed(mode);
  const delayMs = () => {
    const sorted = seenMs.toSorted((a, b) => a - b);
    const highestMs = sorted[Math.ceil(percentile * sorted.length) - 1] ?? 0; // the percentile by nearest rank
    return Math.min(ceilingMs, Math.max(floorMs, factor * highestMs));
  };
  return { observe, delayMs, busyDelayMs: () => ceilingMs };
}

/** Parse `off`, `auto`, or whole milliseconds up to ten minutes. @throws Error that shows the three forms. */
export function parseHedgeMode(text: string): HedgeMode {
  if (text === "off" || text === "auto") return text;
  if (/^\d{1,6}$/.test(text) && Number(text) <= longestMs) return Number(text);
  throw new Error(`not a delay: ${JSON.stringify(text)} (off, auto, or milliseconds up to ${longestMs})`);
}

interface Begun {
  readonly read: BlobRead;
  readonly iterator: AsyncIterator<Uint8Array>;
  /** Undefined when there was nothing left to read. */
  readonly first: Uint8Array | undefined;
}

/** A read that has begun as soon as its first bytes are there; it is to be cancelled, or read. */
class Attempt implements Contender {
  readonly name: SourceName;
  readonly begun: Promise<Begun>;
  sizeBytes: number | undefined;
  failure: unknown;
  readonly #own: AbortController;
  readonly #signal: AbortSignal;

  constructor(source: BlobSource, blob: BlobRef, from: ResumePoint, signal: AbortSignal) {
    this.name = source.name;
    this.#own = following(signal);
    this.#signal = this.#own.signal;
    this.begun = this.#begin(source, blob, from);
    this.begun.catch((err: unknown) => {
      this.failure = err;
    });
  }

  cancel(reason: unknown): void {
    this.#own.abort(reason);
    void this.begun.then(({ iterator }) => endQuietly(iterator)).catch(() => {});
  }

  /** Continue after the first bytes; `signal` of the attempt ends it also while no one asks for more. */
  async toRead(): Promise<BlobRead> {
    const { read, iterator, first } = await this.begun;
    const signal = this.#signal;
    const end = () => endQuietly(iterator);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    signal.throwIfAborted();
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        if (first) yield first;
        for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
        signal.throwIfAborted(); // ended from outside: that is not the end of the blob
      } finally {
        signal.removeEventListener("abort", end);
        await iterator.return?.();
      }
    }
    return { sizeBytes: read.sizeBytes, source: read.source ?? this.name, chunks: chunks() };
  }

  async #begin(source: BlobSource, blob: BlobRef, from: ResumePoint): Promise<Begun> {
    const read = await source.open(blob, from, this.#signal);
    this.#signal.throwIfAborted();
    this.sizeBytes = read.sizeBytes;
    const iterator = read.chunks[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await iterator.next();
      if (done !== true && value.length === 0) continue;
      if (done === true && from.offset < Math.min(from.end ?? read.sizeBytes, read.sizeBytes)) {
        throw new BlobUnavailable(`${this.name} ended at byte ${from.offset} of ${read.sizeBytes}`);
      }
      return { read, iterator, first: done === true ? undefined : value };
    }
  }
}

/** Let an iterator clean up; one that waits for its signal does so by itself. */
function endQuietly(iterator: AsyncIterator<Uint8Array>): void {
  void iterator.return?.().catch(() => {});
}
