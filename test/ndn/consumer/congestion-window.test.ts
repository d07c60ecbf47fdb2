import { expect, test } from "vitest";
import { CongestionWindow } from "#ndn/consumer/congestion-window.ts";
import { seededRandom } from "#test/support/seeded-random.ts";

interface Link {
  readonly segmentsPerMs: number;
  readonly rttMs: number;
  readonly lossShare: number;
}

/** Drive a window over a simulated link whose queue is endless; returns the window and what was delivered per ms. */
function simulate(link: Link, durationMs: number, maxWindow = 10_000) {
  const window = new CongestionWindow({ maxWindow });
  const random = seededRandom(1);
  const arrivals: { atMs: number; sentMs: number; isLost: boolean }[] = [];
  let [freeAtMs, delivered] = [0, 0];
  for (let now = 0; now < durationMs; now++) {
    while (arrivals.length > 0 && arrivals[0]!.atMs <= now) {
      const { sentMs, isLost, atMs } = arrivals.shift()!;
      if (isLost) window.lost(now);
      else window.delivered(now, atMs - sentMs, arrivals.length);
      if (!isLost) delivered++;
    }
    while (arrivals.length < window.size) {
      freeAtMs = Math.max(freeAtMs, now) + 1 / link.segmentsPerMs;
      arrivals.push({ atMs: freeAtMs + link.rttMs, sentMs: now, isLost: random() < link.lossShare });
    }
  }
  return { window, perMs: delivered / durationMs };
}

test("the window begins at 32 and stays within its limits", () => {
  expect(new CongestionWindow({ maxWindow: 512 }).size).toBe(32);
  expect(new CongestionWindow({ maxWindow: 4 }).size).toBe(4);
  expect(simulate({ segmentsPerMs: 100, rttMs: 40, lossShare: 0 }, 1_000, 100).window.size).toBe(100);
  expect(simulate({ segmentsPerMs: 0.1, rttMs: 40, lossShare: 0.9 }, 5_000).window.size).toBeGreaterThanOrEqual(16);
});

test("a link of 40 ms and 100 Mbit/s is filled without a queue that grows for ever", () => {
  const link = { segmentsPerMs: 1.5, rttMs: 40, lossShare: 0 };
  const { window, perMs } = simulate(link, 10_000);
  expect(perMs).toBeGreaterThan(0.9 * link.segmentsPerMs);
  expect(window.size).toBeLessThan(5 * link.segmentsPerMs * link.rttMs);
});

test.each([0.01, 0.05])("random loss of %d is not congestion", (lossShare) => {
  const link = { segmentsPerMs: 1.5, rttMs: 40, lossShare };
  expect(simulate(link, 10_000).perMs).toBeGreaterThan(0.75 * link.segmentsPerMs);
});

test("loss above a tenth cuts the window, once per round trip", () => {
  const window = new CongestionWindow({ maxWindow: 512 });
  for (let now = 0; now < 400; now++) window.delivered(now, 40, window.size);
  const before = window.size;
  for (let i = 0; i < 100; i++) window.lost(400);
  expect(window.size).toBe(Math.floor(Math.max(16, before * 0.7)));
});

test("a congestion mark cuts to 0.7, once per round trip", () => {
  const window = new CongestionWindow({ maxWindow: 512 });
  window.delivered(0, 40, 32);
  const before = window.size;
  window.marked(100);
  window.marked(120);
  expect(window.size).toBe(Math.floor(before * 0.7));
  window.marked(150);
  expect(window.size).toBe(Math.max(16, Math.floor(before * 0.49)));
});
