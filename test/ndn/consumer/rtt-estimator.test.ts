import { expect, test } from "vitest";
import { RttEstimator } from "#ndn/consumer/rtt-estimator.ts";

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

test("timeouts double the RTO to eight times, and an answer to what was asked once ends that", () => {
  const rtt = new RttEstimator();
  rtt.sample(1);
  rtt.timedOut();
  expect(rtt.rtoMs).toBe(840);
  for (let i = 0; i < 10; i++) rtt.timedOut();
  expect(rtt.rtoMs).toBe(8 * 420);
  rtt.sample(1);
  expect(rtt.rtoMs).toBe(420);
});

test("a fetch begins with what is known of the uplink, and teaches it nothing", () => {
  const uplink = new RttEstimator();
  uplink.sample(400);
  const fetch = new RttEstimator(uplink);
  expect(fetch.rtoMs).toBe(uplink.rtoMs);
  fetch.sample(2_000);
  expect(fetch.rtoMs).toBeGreaterThan(2_000);
  expect(uplink.rtoMs).toBe(400 + 4 * 200);
});

test("answers that are overtaken widen what counts as reordering until others have come in order", () => {
  const rtt = new RttEstimator();
  for (let i = 0; i < 50; i++) rtt.sample(1);
  expect(rtt.reorderingMs).toBe(4);
  rtt.overtaken(99);
  expect(rtt.reorderingMs).toBeGreaterThan(100);
  expect(rtt.smoothedMs).toBe(1);
  for (let i = 0; i < 10_000; i++) rtt.sample(1);
  expect(rtt.reorderingMs).toBe(4);
});

test("nothing that comes after the RTO is over counts as reordering", () => {
  const rtt = new RttEstimator();
  rtt.sample(1);
  rtt.overtaken(3_000);
  expect(rtt.reorderingMs).toBeLessThan(2 * rtt.rtoMs);
});
