import { expect, test } from "vitest";
import { RttEstimator } from "#ndn/consumer/congestion-window.ts";

test("the RTO is a second before anything is known, and follows RFC 6298 afterwards", () => {
  const rtt = new RttEstimator();
  expect(rtt.rtoMs).toBe(1_000);
  rtt.sample(400);
  expect(rtt.rtoMs).toBe(400 + 4 * 200);
  rtt.sample(400);
  expect(rtt.rtoMs).toBe(400 + 4 * 150);
});

test("the RTO stays between 420 ms and 4 s", () => {
  const rtt = new RttEstimator();
  for (let i = 0; i < 50; i++) rtt.sample(0.2);
  expect(rtt.rtoMs).toBe(420);
  for (let i = 0; i < 50; i++) rtt.sample(9_000);
  expect(rtt.rtoMs).toBe(4_000);
});

test("many timeouts at once back off once, later ones again, and an answer ends the back-off", () => {
  const rtt = new RttEstimator();
  rtt.sample(1);
  for (let i = 0; i < 100; i++) rtt.timedOut(1_000 + i);
  expect(rtt.rtoMs).toBe(840);
  rtt.timedOut(2_000);
  expect(rtt.rtoMs).toBe(1_680);
  for (let now = 10_000; now < 100_000; now += 5_000) rtt.timedOut(now);
  expect(rtt.rtoMs).toBe(8 * 420);
  rtt.sample(1);
  expect(rtt.rtoMs).toBe(420);
});
