import { expect, test } from "vitest";
import { CongestionWindow } from "#ndn/consumer/congestion-window.ts";
import { simulate } from "../simulated-link.ts";

const seconds = 5;

function run(link: { rate: number; rttMs: number; queue: number; loss: number }) {
  return simulate(new CongestionWindow({ maxWindow: 512 }), { ...link, seed: 7 }, seconds * 1000);
}

test.each([
  { loss: 0, share: 0.95 },
  { loss: 0.01, share: 0.9 },
  { loss: 0.05, share: 0.85 },
])("a link of 100 Mbit/s and 40 ms that loses $loss is used to $share", ({ loss, share }) => {
  const result = run({ rate: 1.5, rttMs: 40, queue: 31, loss });
  expect(result.share).toBeGreaterThan(share);
  expect(result.overflow).toBeLessThan(0.02);
});

test("a short path is used fully, without a queue of many times its own delay", () => {
  const result = run({ rate: 15, rttMs: 1, queue: 100, loss: 0 });
  expect(result.share).toBeGreaterThan(0.99);
  expect(result.meanRttMs).toBeLessThan(10);
});

test("a slow and long link is used, and its queue is not filled to the brim for ever", () => {
  const result = run({ rate: 0.15, rttMs: 200, queue: 31, loss: 0 });
  expect(result.share).toBeGreaterThan(0.9);
  expect(result.overflow).toBeLessThan(0.2);
});

test("half the rate from one moment on: the window follows within seconds", () => {
  const window = new CongestionWindow({ maxWindow: 512 });
  simulate(window, { rate: 3, rttMs: 40, queue: 120, loss: 0, seed: 7 }, 3_000);
  const before = window.size;
  const after = simulate(window, { rate: 1.5, rttMs: 40, queue: 120, loss: 0, seed: 8 }, 3_000, 3_000);
  expect(window.size).toBeLessThan(before);
  expect(after.share).toBeGreaterThan(0.9);
});

test("loss above a tenth is taken for congestion", () => {
  const gentle = run({ rate: 1.5, rttMs: 40, queue: 31, loss: 0.05 });
  const heavy = run({ rate: 1.5, rttMs: 40, queue: 31, loss: 0.3 });
  expect(heavy.overTime.at(-1)!.window).toBeLessThan(gentle.overTime.at(-1)!.window / 2);
});
