import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { hotSpots } from "#bench/hot-spots.ts";
import { seededHash, seededPieces } from "#bench/large-blob.ts";
import { reached, recordResult } from "#bench/report.ts";
import { type Context, measureRounds, thereAndBack } from "#bench/scenario.ts";
import { startMetering } from "#bench/usage.ts";

const context: Context = {
  folder: "",
  rounds: 3,
  sizeBytes: undefined,
  seconds: 0,
  rows: undefined,
  progress: () => undefined,
};

test("an aim above what is needed says that more is better, one below that less is", () => {
  const rates = [0.8, 0.9, 1.3].map((value) => reached(value, { needed: 0.9, aim: 1.3 }));
  const delays = [31, 30, 10].map((value) => reached(value, { needed: 30, aim: 10 }));
  expect([rates, delays]).toEqual([
    ["NO", "needed", "aim"],
    ["NO", "needed", "aim"],
  ]);
});

test("a figure is recorded with its goal, its median and the values of all rounds but those that warm up", async () => {
  const values = new Map([1, 2, 3].map((round, index) => [round, [3, 1, 2][index]!]));
  const quantity = { name: "delay", unit: "ms", goal: { needed: 30, aim: 10 } };
  const figures = await measureRounds(context, async (note, round) => note(quantity, values.get(round) ?? 100));
  expect(recordResult({ sizeBytes: 7, figures })).toEqual({
    sizeBytes: 7,
    figures: [{ name: "delay", unit: "ms", needed: 30, aim: 10, median: 2, values: [3, 1, 2] }],
  });
});

test("ways are measured in one order and backwards in the next round", () => {
  expect([1, 2, 3].map((round) => thereAndBack(["a", "b", "c"], round).join(""))).toEqual(["abc", "cba", "abc"]);
});

test("a seed's bytes are the same as often as they are made, and a shorter blob is the beginning of a longer one", () => {
  const long = Buffer.concat([...seededPieces("seed", 2_500_000)]);
  expect(long.length).toBe(2_500_000);
  expect(seededHash("seed", 1_200_001)).toBe(createHash("sha256").update(long.subarray(0, 1_200_001)).digest("hex"));
});

test("hot spots are functions by their own time, from a moment on, without idling", () => {
  const frame = (functionName: string, lineNumber: number) => ({ functionName, url: "file:///app/a.ts", lineNumber });
  const nodes = [
    { id: 1, callFrame: frame("(idle)", 0) },
    { id: 2, callFrame: frame("scan", 9) },
    { id: 3, callFrame: frame("", 19) },
    { id: 4, callFrame: frame("scan", 9) }, // the same function under another caller
  ];
  const profile = { nodes, startTime: 1000, samples: [3, 2, 1, 3, 4], timeDeltas: [500, 1000, 5000, 1000, 2000] };
  expect(hotSpots(profile, 2000, "/app/")).toEqual([
    { name: "scan", place: "a.ts:10", selfMs: 3, share: 0.75 },
    { name: "(anonymous)", place: "a.ts:20", selfMs: 1, share: 0.25 },
  ]);
});

test.skipIf(process.platform !== "linux")("metering sees a process's CPU time and memory", () => {
  const meter = startMetering({ self: { pid: process.pid } });
  const until = process.cpuUsage().user + 100_000;
  while (process.cpuUsage().user < until); // works
  const [usage] = meter();
  expect(usage!.cpuSeconds).toBeGreaterThan(0.05);
  expect(usage!.peakBytes).toBeGreaterThan(10_000_000);
});
