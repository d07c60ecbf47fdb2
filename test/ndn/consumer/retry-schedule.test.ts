import { expect, test } from "vitest";
import { RetrySchedule } from "#ndn/consumer/retry-schedule.ts";

/** When the first retransmissions are due, after the first Interest. */
function times(schedule: RetrySchedule, count: number): number[] {
  const delays = schedule.delays();
  let atMs = 0;
  return Array.from({ length: count }, () => {
    atMs += delays.next().value;
    return Math.round(atMs);
  });
}

/** One that has learned this round-trip time from so many answers. */
function knowing(rttMs: number, answers = 20): RetrySchedule {
  const schedule = new RetrySchedule();
  for (let i = 0; i < answers; i++) schedule.answered(rttMs, rttMs);
  return schedule;
}

test("on a path that no one knows it is soon, and when a forwarder that suppresses for 400 ms passes it on", () => {
  expect(times(new RetrySchedule(), 5)).toEqual([200, 420, 840, 1_260, 1_680]);
});

test("on a known path it is after little more than a round trip, backed off, and when a forwarder passes it on", () => {
  expect(times(knowing(100), 5)).toEqual([120, 360, 420, 840, 1_260]);
  expect(times(knowing(0.3), 5)).toEqual([20, 61, 142, 420, 840]);
  expect(times(knowing(40), 5)).toEqual([60, 180, 420, 840, 1_260]);
});

test("after a single answer it is within one and a half round trips", () => {
  expect(times(knowing(100, 1), 1)).toEqual([150]);
});

test("on a long path nothing is asked twice within a round trip, and no forwarder matters", () => {
  const [first, second] = times(knowing(600), 2);
  expect(first).toBeGreaterThan(600);
  expect(first).toBeLessThan(700);
  expect(second! - first!).toBeGreaterThan(600);
});

test("a long path is learned although the answer came after the first retransmissions", () => {
  const schedule = new RetrySchedule();
  schedule.answered(600, 180);
  expect(schedule.rtt.smoothedMs).toBe(600);
  expect(times(schedule, 1)[0]).toBeGreaterThan(600);
});

test("a loss on a known path is not taken for a longer path", () => {
  const schedule = knowing(100);
  schedule.answered(520, 100);
  expect(schedule.rtt.smoothedMs).toBeCloseTo(100);
  expect(times(schedule, 1)[0]).toBeLessThan(130);
});

test("a path that has become longer is noticed by answers that no earlier Interest explains", () => {
  const schedule = knowing(10);
  for (let i = 0; i < 20; i++) schedule.answered(600, 180);
  expect(times(schedule, 1)[0]).toBeGreaterThan(150);
});
