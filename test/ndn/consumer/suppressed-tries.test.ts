import { expect, test } from "vitest";
import { SuppressedTries } from "#ndn/consumer/suppressed-tries.ts";

/** What is due until then, each once. */
function due(tries: SuppressedTries, nowMs: number): number[] {
  const taken: number[] = [];
  tries.takeDue(nowMs, (n) => {
    taken.push(n);
    return nowMs;
  });
  return taken;
}

test("what was asked for again too soon is due once, when a forwarder passes it on", () => {
  const tries = new SuppressedTries();
  tries.askedAgain(7, 1_000, 1_100);
  tries.askedAgain(8, 1_010, 1_120);
  tries.askedAgain(9, 500, 1_000); // no forwarder has suppressed that
  expect(due(tries, 1_419)).toEqual([]);
  expect(due(tries, 1_425)).toEqual([7]);
  expect(due(tries, 9_999)).toEqual([8]);
  expect(due(tries, 9_999)).toEqual([]);
});

test("what may still be answered is due later, and nothing after the fetch", () => {
  const tries = new SuppressedTries();
  tries.askedAgain(7, 0, 400);
  tries.takeDue(420, () => 500);
  expect(due(tries, 499)).toEqual([]);
  expect(due(tries, 500)).toEqual([7]);
  tries.askedAgain(8, 1_000, 1_100);
  tries.clear();
  expect(due(tries, 9_999)).toEqual([]);
});
