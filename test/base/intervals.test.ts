import { expect, test } from "vitest";
import { IntervalSet } from "#base/intervals.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";

test("a set of intervals knows what is in it, whatever is added in which order", () => {
  const seeds = randomBytesOf("intervals", 4_000);
  for (let round = 0; round < 100; round++) {
    const [set, positions] = [new IntervalSet(), new Set<number>()];
    for (let i = 0; i < 20; i++) {
      const [start, length] = [seeds[round * 40 + 2 * i]!, seeds[round * 40 + 2 * i + 1]! % 12];
      set.add(start, start + length);
      for (let at = start; at < start + length; at++) positions.add(at);
    }
    const starts = [...positions].filter((at) => !positions.has(at - 1));
    expect([set.size, set.count]).toEqual([positions.size, starts.length]);
    for (let at = 0; at < 270; at++) {
      let end = at;
      while (positions.has(end)) end++;
      const next = [...positions].filter((position) => position >= at);
      expect([set.endFrom(at), set.nextFrom(at)]).toEqual([end, Math.min(...next)]);
    }
  }
});
