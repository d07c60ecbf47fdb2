/**
 * How long NDN may keep a puller waiting for its first bytes before the upstream is asked as well.
 */

/** `auto` follows what was seen lately, a number is a fixed time in milliseconds, `off` means never. */
export type HedgeMode = "off" | "auto" | number;

/** When to hedge. */
export interface HedgeDelay {
  /** The first bytes came after `ms`; or they had not come by then, and nobody waits for them any more. */
  observe(ms: number): void;
  /** Patience with the next blob, in milliseconds; undefined: without end. */
  delayMs(): number | undefined;
}

/** Settings of {@link createHedgeDelay}. */
export interface HedgeDelayOptions {
  readonly mode: HedgeMode;
  /** `auto` is never less, @defaultValue 1000 */
  readonly floorMs?: number | undefined;
  /** nor more than this. @defaultValue 4000 */
  readonly ceilingMs?: number | undefined;
}

const window = 64;
const percentile = 0.95;
/** Late is who takes this many times as long as nearly everybody before. */
const factor = 2;
const longestMs = 600_000;

/** A delay by mode: `auto` is twice the 95th percentile of the last 64 times, between the floor and the ceiling. */
export function createHedgeDelay({ mode, floorMs = 1_000, ceilingMs = 4_000 }: HedgeDelayOptions): HedgeDelay {
  const seenMs: number[] = [];
  const observe = (ms: number) => {
    seenMs.push(ms);
    if (seenMs.length > window) seenMs.shift();
  };
  if (mode === "off") return { observe, delayMs: () => undefined };
  if (mode !== "auto") return { observe, delayMs: () => mode };
  return { observe, delayMs: () => Math.min(ceilingMs, Math.max(floorMs, factor * highest(seenMs))) };
}

/** Parse `off`, `auto`, or whole milliseconds up to ten minutes. @throws Error that shows the three forms. */
export function parseHedgeMode(text: string): HedgeMode {
  if (text === "off" || text === "auto") return text;
  if (/^\d{1,6}$/.test(text) && Number(text) <= longestMs) return Number(text);
  throw new Error(`not a delay: ${JSON.stringify(text)} (off, auto, or milliseconds up to ${longestMs})`);
}

/** The percentile by nearest rank; 0 of nothing. */
function highest(valuesMs: readonly number[]): number {
  const sorted = valuesMs.toSorted((a, b) => a - b);
  return sorted[Math.ceil(percentile * sorted.length) - 1] ?? 0;
}
