import { expect, test } from "vitest";
import { nearestWord } from "#base/nearest-word.ts";

const known = ["name", "upstream", "uplink", "cache-dir", "cache-size"];

test.each([
  ["upstram", "upstream"],
  ["uplnik", "uplink"],
  ["nmae", "name"],
  ["NAME", "name"],
  ["cachedir", "cache-dir"],
  ["cache_size", "cache-size"],
  ["upst", "upstream"],
  ["registry", undefined],
  ["x", undefined],
  ["", undefined],
])("%j probably means %j", (word, meant) => {
  expect(nearestWord(word, known)).toBe(meant);
});
