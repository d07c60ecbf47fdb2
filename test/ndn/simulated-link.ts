/**
 * A link in a simulation: time is a number, so a minute passes in milliseconds and every run is the same. Drives a
 * congestion window the way `SegmentConsumer` does, and says what became of it.
 */
import type { CongestionWindow } from "#ndn/consumer/congestion-window.ts";
import { seededRandom } from "#test/support/seeded-random.ts";

/** The bottleneck between consumer and producer. */
export interface SimulatedLink {
  /** Segments per millisecond. */
  readonly rate: number;
  /** Round-trip time without any queue. */
  readonly rttMs: number;
  /** Segments that fit into the queue in front of the bottleneck. */
  readonly queue: number;
  /** Share of segments lost at random. */
  readonly loss: number;
  readonly seed: number;
}

/** What happened. */
export interface SimulationResult {
  /** Share of the link's rate that was delivered. */
  readonly share: number;
  /** Segments dropped because the queue was full, over those delivered. */
  readonly overflow: number;
  readonly meanRttMs: number;
  /** Per interval of 250 ms: when it ended, delivered segments per millisecond, and the window at its end. */
  readonly overTime: readonly { readonly atMs: number; readonly rate: number; readonly window: number }[];
}

interface Flying {
  readonly sentAtMs: number;
  /** When the answer is back, or when its absence can be noticed: as soon as a later one is. */
  readonly doneAtMs: number;
  readonly isLost: boolean;
}

const intervalMs = 250;
const stepMs = 0.5;
/** How much later than an answer in order a gap counts as a loss. */
const reorderingMs = 10;

/** Ask for segments for `durationMs` from `startMs` on over the link, as many at a time as the window allows. */
export function simulate(
  window: CongestionWindow,
  link: SimulatedLink,
  durationMs: number,
  startMs = 0,
): SimulationResult {
  const random = seededRandom(link.seed);
  const flying: Flying[] = [];
  const overTime: { atMs: number; rate: number; window: number }[] = [];
  let [delivered, overflowed, rttSum, freeAtMs, inInterval] = [0, 0, 0, 0, 0];
  for (let now = startMs; now < startMs + durationMs; now += stepMs) {
    while (flying.length > 0 && flying[0]!.doneAtMs <= now) {
      const { sentAtMs, isLost } = flying.shift()!;
      if (isLost) {
        window.lost(now);
        continue;
      }
      delivered++;
      inInterval++;
      rttSum += now - sentAtMs;
      window.delivered(now, now - sentAtMs, flying.length);
    }
    while (flying.length < window.size) {
      const reachesMs = now + link.rttMs / 2;
      const startsMs = Math.max(reachesMs, freeAtMs);
      const isFull = (startsMs - reachesMs) * link.rate > link.queue;
      if (isFull) overflowed++;
      else freeAtMs = startsMs + 1 / link.rate;
      const isLost = isFull || random() < link.loss;
      const backMs = freeAtMs + link.rttMs / 2;
      flying.push({ sentAtMs: now, doneAtMs: isLost ? backMs + reorderingMs : backMs, isLost });
      flying.sort((a, b) => a.doneAtMs - b.doneAtMs);
    }
    if (now > startMs && now % intervalMs === 0) {
      overTime.push({ atMs: now, rate: inInterval / intervalMs, window: window.size });
      inInterval = 0;
    }
  }
  const share = delivered / (durationMs * link.rate);
  return { share, overflow: overflowed / delivered, meanRttMs: rttSum / delivered, overTime };
}
