import { expect, test } from "vitest";
import { createHedgeDelay, parseHedgeMode } from "#blob/hedge.ts";

function delayAfter(...seenMs: number[]): number | undefined {
  const delay = createHedgeDelay({ mode: "auto" });
  for (const ms of seenMs) delay.observe(ms);
  return delay.delayMs();
}

test("auto is never less than a second nor more than four", () => {
  expect(delayAfter()).toBe(1_000);
  expect(delayAfter(5, 20, 80)).toBe(1_000);
  expect(delayAfter(30_000)).toBe(4_000);
});

test("auto is twice what 95 of 100 stay below", () => {
  const usual = Array.from({ length: 61 }, () => 700);
  expect(delayAfter(...usual, 9_000, 9_000, 9_000)).toBe(1_400);
  expect(delayAfter(...usual.slice(3), 1_600, 1_600, 1_600, 1_600, 1_600, 1_600)).toBe(3_200);
});

test("auto forgets what was before the last 64", () => {
  expect(delayAfter(...Array.from({ length: 10 }, () => 1_900), ...Array.from({ length: 64 }, () => 600))).toBe(1_200);
});

test("a number stays what it is, and off never ends", () => {
  const fixed = createHedgeDelay({ mode: 250 });
  fixed.observe(3_000);
  expect(fixed.delayMs()).toBe(250);
  expect(createHedgeDelay({ mode: "off" }).delayMs()).toBeUndefined();
});

test.each([
  ["off", "off"],
  ["auto", "auto"],
  ["0", 0],
  ["1500", 1_500],
])("%s is a mode", (text, mode) => {
  expect(parseHedgeMode(text)).toBe(mode);
});

test.each(["", "on", "-1", "1.5", "1s", "600001"])("%j is none, and the error shows the forms", (text) => {
  expect(() => parseHedgeMode(text)).toThrow(/off, auto, or milliseconds/);
});
