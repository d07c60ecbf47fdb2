import { expect, test } from "vitest";
import { Timetable } from "./timetable.ts";

function takeAll(table: Timetable<string>, now: number): string[] {
  const taken: string[] = [];
  for (let it = table.take(now); it !== undefined; it = table.take(now)) taken.push(it);
  return taken;
}

test("a timetable hands out what is due, in the order of times and of coming", () => {
  const table = new Timetable<string>();
  for (const [atMs, it] of [
    [1, "a"],
    [1, "b"],
    [3, "c"],
  ] as const)
    table.enter(atMs, it);
  expect(takeAll(table, 2)).toEqual(["a", "b"]);
  expect(takeAll(table, 3)).toEqual(["c"]);
  expect(table.isEmpty).toBe(true);
});

test("what is late, or earlier than what came before, finds its place among the others", () => {
  const table = new Timetable<string>();
  table.enter(10, "late", true);
  for (const [atMs, it] of [
    [1, "a"],
    [4, "d"],
    [2, "b"],
    [3, "c"],
    [5, "e"],
  ] as const)
    table.enter(atMs, it);
  expect(takeAll(table, 9)).toEqual(["a", "b", "c", "d", "e"]);
  expect(takeAll(table, 10)).toEqual(["late"]);
});

test("a timetable of many entries costs as much per entry as one of few", () => {
  const table = new Timetable<string>();
  for (let round = 0; round < 5; round++) {
    for (let atMs = 0; atMs < 5_000; atMs++) table.enter(round * 5_000 + atMs, "x");
    expect(takeAll(table, (round + 1) * 5_000 - 1)).toHaveLength(5_000);
  }
  expect(table.isEmpty).toBe(true);
});
