/**
 * Figures that all rows over NDN have.
 */
import { median } from "../report.ts";
import type { Goal, Note } from "../scenario.ts";
import type { Crossed } from "./cross.ts";
import type { BenchLink } from "./link.ts";

const megabytes = 1e6;
/** Most that server and client may hold, in MB. */
const memoryGoal: Goal = { needed: 250, aim: 200 };

/** Payload in bits per second. */
export function rateOf({ taken }: Crossed): number {
  return (taken.bytes * 8) / taken.seconds;
}

/** The same over what a link of this rate could carry. */
export function shareOf(crossed: Crossed, bitsPerSecond: number): number {
  return rateOf(crossed) / (bitsPerSecond * crossed.link.payloadPart);
}

/** Share of the packets down that the link dropped because its queue was full. */
export function droppedShare({ link }: Crossed): number {
  return link.overflowed / Math.max(1, link.packets + link.overflowed);
}

/** Note what it cost, and how it went over time; `dropsGoal` is in percent. */
export function noteCrossed(note: Note, crossed: Crossed, dropsGoal?: Goal): void {
  note({ name: "rate", unit: "MB/s" }, rateOf(crossed) / 8 / megabytes);
  note({ name: "dropped", unit: "%", ...(dropsGoal && { goal: dropsGoal }) }, 100 * droppedShare(crossed));
  note({ name: "retransmitted", unit: "%" }, 100 * crossed.retransmitted);
  note({ name: "usual wait", unit: "ms" }, median(crossed.link.timeline.waitMs));
  note({ name: "past NDN", unit: "MB", goal: { needed: 0, aim: 0 } }, crossed.pastNdnBytes / megabytes);
  for (const { name, peakBytes } of crossed.usages.slice(0, 2)) {
    note({ name, unit: "MB RSS", goal: memoryGoal }, peakBytes / megabytes);
  }
  for (const { name, cpuSeconds } of crossed.usages) {
    note({ name: `${name}'s`, unit: "cores" }, cpuSeconds / crossed.taken.seconds);
  }
}

/** Names of the figures whose values are a time-line, and of the length of its steps. */
export const timeline = { rate: "over time", wait: "longest wait", window: "window", step: "steps" } as const;

/** Note how it went over time. */
export function noteTimeline(note: Note, { link, windows }: Crossed, { bitsPerSecond }: BenchLink): void {
  const { bytes, waitMs, stepMs } = link.timeline;
  const shares = bytes.map((each) => (each * 8000) / stepMs / bitsPerSecond);
  const isOverTime = true;
  for (const share of shares) note({ name: timeline.rate, unit: "of the link", isOverTime }, Number(share.toFixed(3)));
  for (const each of waitMs) note({ name: timeline.wait, unit: "ms", isOverTime }, each);
  for (const window of windows) note({ name: timeline.window, unit: "segments", isOverTime }, Math.round(window));
  note({ name: timeline.step, unit: "ms", isOverTime }, stepMs);
}
