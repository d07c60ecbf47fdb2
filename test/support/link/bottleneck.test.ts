import { expect, test } from "vitest";
import { Bottleneck } from "./bottleneck.ts";

const megabit = { bitsPerSecond: 1_000_000 };

test("packets leave a bottleneck one after the other, exactly at its rate, however they came", () => {
  const bottleneck = new Bottleneck();
  expect([0, 0, 5].map((now) => bottleneck.pass(1_000, now, megabit))).toEqual([8, 16, 24]);
  expect(bottleneck.pass(1_000, 100, megabit)).toBe(108);
});

test("a queue is full when both its bytes and its packets are exceeded, and has room again as packets leave", () => {
  const options = { ...megabit, queueBytes: 2_500, queuePackets: 4 };
  const bottleneck = new Bottleneck();
  const isFullAfter = (packets: number) => {
    for (let packet = 0; packet < packets; packet++) bottleneck.pass(1_000, 0, options);
    return bottleneck.isFull(0, options);
  };
  expect(isFullAfter(3)).toBe(false); // bytes alone
  expect(isFullAfter(1)).toBe(false);
  expect(isFullAfter(1)).toBe(true);
  expect(bottleneck.isFull(8, options)).toBe(false);
});

test("a bottleneck without a rate holds nothing back", () => {
  const bottleneck = new Bottleneck();
  for (let packet = 0; packet < 1_000; packet++) expect(bottleneck.pass(8_000, 7, {})).toBe(7);
  expect(bottleneck.isFull(7, { queueBytes: 1 })).toBe(false);
});

test("the rate changes with the time", () => {
  const bottleneck = new Bottleneck(0);
  const options = { ...megabit, rateChanges: { everyMs: 1_000, factors: [1, 0.5, 2] } };
  const taken = (now: number) => bottleneck.pass(1_000, now, options) - now;
  expect([0, 1_000, 2_000, 3_000].map(taken)).toEqual([8, 16, 4, 8]);
});
