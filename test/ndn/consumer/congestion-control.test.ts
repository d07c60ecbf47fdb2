import { expect, test } from "vitest";
import { CongestionControl } from "#ndn/consumer/congestion-control.ts";

/** Answer `perMs` segments in each millisecond, `rttMs` after they were asked for. */
function deliver(control: CongestionControl, fromMs: number, untilMs: number, perMs: number, rttMs: number): void {
  for (let now = fromMs; now < untilMs; now++) {
    for (let i = 0; i < perMs; i++) control.delivered(now, rttMs, false, control.size - 1);
  }
}

test("the window begins at 32 segments, without a pace, and stays within its limits", () => {
  const control = new CongestionControl({ maxWindow: 512 });
  expect([control.size, control.credit(0)]).toEqual([32, Number.POSITIVE_INFINITY]);
  expect(new CongestionControl({ maxWindow: 4 }).size).toBe(4);
  deliver(control, 0, 2_000, 20, 40);
  expect(control.size).toBe(512);
});

test("the pace follows the rate at which a long path delivers, and none is kept on a short one", () => {
  const long = new CongestionControl({ maxWindow: 8_192 });
  deliver(long, 0, 2_000, 2, 40);
  expect(long.pacePerMs).toBeGreaterThan(1.4);
  expect(long.pacePerMs).toBeLessThan(6);
  const short = new CongestionControl({ maxWindow: 8_192 });
  deliver(short, 0, 2_000, 2, 1);
  expect(short.credit(2_000)).toBe(Number.POSITIVE_INFINITY);
});

test("what has not been sent in a pause is not sent in a burst after it", () => {
  const control = new CongestionControl({ maxWindow: 8_192 });
  deliver(control, 0, 2_000, 2, 40);
  control.sent(Math.floor(control.credit(2_000)));
  expect(control.credit(2_000)).toBeLessThan(1);
  expect(control.credit(2_002)).toBeLessThan(20);
  expect(control.credit(60_000)).toBeLessThan(60);
});

test("a congestion mark cuts what may be in flight, once in a round trip", () => {
  const control = new CongestionControl({ maxWindow: 8_192 });
  deliver(control, 0, 4_000, 2, 40);
  const windowAt = (ms: number) => {
    deliver(control, ms, ms + 41, 2, 40);
    return control.size;
  };
  const before = windowAt(4_000);
  control.marked(4_041);
  control.marked(4_042);
  const after = windowAt(4_042);
  expect(after).toBeLessThan(before);
  expect(after).toBeGreaterThan(0.7 * before);
});

test("losses of a path that always loses as much are no congestion", () => {
  const run = (lossShare: number) => {
    const control = new CongestionControl({ maxWindow: 8_192 });
    let asked = 0;
    for (let now = 0; now < 4_000; now++) {
      for (let i = 0; i < 4; i++) {
        if (asked++ % 20 < 20 * lossShare) control.lost(now - 40);
        else control.delivered(now, 40, false, control.size - 1);
      }
    }
    return control;
  };
  const [without, withLoss] = [run(0), run(0.05)];
  expect(withLoss.size).toBeGreaterThan(0.9 * without.size);
  expect(withLoss.pacePerMs).toBeGreaterThan(0.9 * without.pacePerMs);
});
