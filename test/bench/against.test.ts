import { describe, expect, test } from "vitest";
import { type Comparison, compare, isWorse, Turns } from "#bench/against.ts";
import type { Figure } from "#bench/scenario.ts";

function rate(values: readonly number[], unit = "MB/s"): Figure {
  return { name: "row", unit, isOurs: true, values };
}

function verdict(theirs: readonly number[], ours: readonly number[], unit?: string): boolean {
  const [row] = compare([rate(theirs, unit)], [rate(ours, unit)]);
  return isWorse(row!);
}

const twelve = Array.from({ length: 12 }, () => 100);

describe("a row", () => {
  test("is worse when the median of the rounds' ratios is below 0.95 and nine of twelve are below 1", () => {
    expect(verdict(twelve, [...Array(9).fill(94), 101, 101, 101])).toBe(true);
  });

  test("is not worse when only eight of twelve rounds are below 1", () => {
    expect(verdict(twelve, [...Array(8).fill(50), 101, 101, 101, 101])).toBe(false);
  });

  test("is not worse when every round is a little below 1", () => {
    expect(verdict(twelve, Array(12).fill(95))).toBe(false);
  });

  test("of times is worse when it takes longer", () => {
    expect(verdict(twelve, Array(12).fill(110), "ms")).toBe(true);
    expect(verdict(twelve, Array(12).fill(90), "ms")).toBe(false);
  });

  test.each([
    [1, 1],
    [2, 2],
    [5, 4],
    [12, 9],
  ])("of %i rounds is worse from %i of them on", (rounds, needed) => {
    const row: Comparison = {
      name: "row",
      unit: "MB/s",
      theirs: 1,
      ours: 0.5,
      ratio: 0.5,
      worseRounds: needed,
      rounds,
    };
    expect([isWorse(row), isWorse({ ...row, worseRounds: needed - 1 })]).toEqual([true, false]);
  });
});

test("ratios are taken round by round, and figures of other programs are left out", () => {
  const others: Figure = { name: "straight", unit: "MB/s", values: [1, 1] };
  expect(compare([others, rate([100, 10])], [others, rate([50, 20])])).toEqual([
    { name: "row", unit: "MB/s", theirs: 55, ours: 35, ratio: 1.25, worseRounds: 1, rounds: 2 },
  ]);
});

describe("turns", () => {
  test("alternate, and change their order with each round", async () => {
    const turns = new Turns();
    const order: string[] = [];
    const run = async (side: 0 | 1) => {
      for (const round of [0, 1, 2])
        await turns.take(side, round, async () => void order.push(`${round}${"ab"[side]}`));
    };
    await Promise.all([run(1), run(0)]);
    expect(order).toEqual(["0a", "0b", "1b", "1a", "2a", "2b"]);
  });

  test("of the other end when one fails", async () => {
    const turns = new Turns();
    const failure = new Error("no such program");
    const waiting = turns.take(1, 0, () => Promise.resolve());
    await expect(turns.take(0, 0, () => Promise.reject(failure))).rejects.toBe(failure);
    await expect(waiting).rejects.toBe(failure);
  });

  test("of the other end when one fails between its turns", async () => {
    const turns = new Turns();
    const failure = new Error("cannot be started");
    const waiting = turns.take(1, 0, () => Promise.resolve());
    turns.fail(failure);
    await expect(waiting).rejects.toBe(failure);
    await expect(turns.take(1, 1, () => Promise.resolve())).rejects.toBe(failure);
  });
});
