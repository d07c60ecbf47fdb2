import { expect, test } from "vitest";
import { TurnQueue } from "#base/turns.ts";

const any = () => true;

test("owners take turns, and each one's items come in order", () => {
  const queue = new TurnQueue<string>();
  const [one, other] = [{}, {}];
  for (const item of ["a1", "a2", "a3"]) queue.add(one, item);
  queue.add(other, "b1");
  expect([1, 2, 3, 4, 5].map(() => queue.take(any))).toEqual(["a1", "b1", "a2", "a3", undefined]);
});

test("an item that may not go yet keeps its place, and does not hold the others up", () => {
  const queue = new TurnQueue<string>();
  const owner = {};
  for (const item of ["a1", "a2", "a3"]) queue.add(owner, item);
  expect(queue.take((item) => item !== "a1")).toBe("a2");
  expect(queue.delete("a3")).toBe(true);
  expect(queue.delete("a3")).toBe(false);
  expect(queue.take(any)).toBe("a1");
});
