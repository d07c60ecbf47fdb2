/**
 * The links that rows are measured on, and what is asked of each.
 */
import type { LinkOptions } from "#test/support/link/link.ts";

/** A link between client and server. */
export interface BenchLink {
  readonly bitsPerSecond: number;
  readonly rttMs: number;
  /** Of the blob: ten seconds of the link or more. */
  readonly sizeBytes: number;
  /** Shares of the payload's rate that are needed at each of {@link losses}. */
  readonly needed: readonly [number, number, number];
}

/** Shares of Data that are lost. */
export const losses = [0, 0.01, 0.05] as const;

const gigabit = { bitsPerSecond: 1e9, sizeBytes: 1_500_000_000 };

/** From short and fat to long and thin. */
export const benchLinks: readonly BenchLink[] = [
  { ...gigabit, rttMs: 1, needed: [0.9, 0.8, 0.6] },
  { ...gigabit, rttMs: 10, needed: [0.85, 0.8, 0.6] },
  { ...gigabit, rttMs: 100, needed: [0.8, 0.7, 0.5] },
  { bitsPerSecond: 1e8, rttMs: 40, sizeBytes: 250_000_000, needed: [0.95, 0.93, 0.88] },
  { bitsPerSecond: 1e7, rttMs: 600, sizeBytes: 32_000_000, needed: [0.85, 0.85, 0.8] },
  { bitsPerSecond: 2e6, rttMs: 100, sizeBytes: 4_000_000, needed: [0.93, 0.9, 0.85] },
];

/** Its name in tables. */
export function linkName({ bitsPerSecond, rttMs }: BenchLink): string {
  return `${bitsPerSecond >= 1e9 ? `${bitsPerSecond / 1e9} Gbit/s` : `${bitsPerSecond / 1e6} Mbit/s`}, ${rttMs} ms`;
}

/** Both directions. The one up has a delay only: Interests are a hundredth of what comes down. */
export interface BothWays {
  readonly up: LinkOptions;
  readonly down: LinkOptions;
}

/** What a link is like beside its rate and its delay. */
export interface LinkTrouble {
  /** Share of what comes down that is lost. @defaultValue 0 */
  readonly loss?: number;
  /** Its queue over its bandwidth-delay product; 64 packets it takes in any case. @defaultValue 0.5 */
  readonly queueShare?: number;
}

/** Both directions of a link. */
export function waysOf(link: BenchLink, { loss = 0, queueShare }: LinkTrouble = {}): BothWays {
  const { bitsPerSecond, rttMs } = link;
  const delayMs = rttMs / 2;
  const queueBytes = queueOf(link, queueShare);
  return { up: { delayMs }, down: { delayMs, bitsPerSecond, loss, queueBytes, queuePackets: 64 } };
}

/** Bytes of its queue, which is so much of its bandwidth-delay product. */
export function queueOf({ bitsPerSecond, rttMs }: BenchLink, share = 0.5): number {
  return (share * bitsPerSecond * rttMs) / 8000;
}
