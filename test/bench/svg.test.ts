import { expect, test } from "vitest";
import { type Chart, chartSheet } from "#bench/chart/svg.ts";

const chart = { title: "Load", xLabel: "blobs", yLabel: "MB/s", xs: [1, 4, 16], scale: "each" } as const;

function drawn(...charts: Chart[]): string {
  return chartSheet(charts, 2);
}

function ticks(values: readonly number[]): string[] {
  const svg = drawn({ ...chart, series: [{ name: "all", values }] });
  return [...svg.matchAll(/text-anchor="end">([^<]*)</g)].map((match) => match[1]!);
}

test("a chart has a line for each series, with a dot for each value that was measured", () => {
  const series = [
    { name: "straight", values: [300, 400, 350] },
    { name: "ours & <theirs>", values: [100, undefined, 200] },
    { name: "nothing", values: [undefined, undefined, undefined] },
  ];
  const svg = drawn({ ...chart, series });
  expect(svg.match(/stroke-width="2"/g)?.length).toBe(2);
  expect(svg.match(/<circle /g)?.length).toBe(3 + 2 + 3); // the last three are the legend's
  expect(svg).toContain(">ours &amp; &lt;theirs></text>");
});

test("a higher value is further up, and 0 is at the bottom", () => {
  const svg = drawn({ ...chart, series: [{ name: "all", values: [0, 100, 50] }] });
  const [zero, hundred, fifty] = [...svg.matchAll(/cy="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(zero! - hundred!).toBeCloseTo(2 * (zero! - fifty!));
  expect(zero).toBeGreaterThan(hundred!);
});

test("the y axis has round numbers and reaches above the highest value", () => {
  expect(ticks([1, 2, 730])).toEqual(["0", "100", "200", "300", "400", "500", "600", "700", "800"]);
  expect(ticks([0.2, 1.1, 0.5])).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2"]);
  expect(ticks([30, 50, 10])).toEqual(["0", "10", "20", "30", "40", "50"]);
});

test("a linear axis has round numbers, no dots, and each value where it belongs", () => {
  const svg = drawn({ ...chart, scale: "linear", xs: [0, 1, 4], series: [{ name: "all", values: [1, 2, 1] }] });
  const [, path] = /d="M([\d .L]+)" fill="none"/.exec(svg)!;
  const [zero, one, four] = path!.split("L").map((point) => Number(point.split(" ")[0]));
  expect(four! - zero!).toBeCloseTo(4 * (one! - zero!), -1);
  expect(svg.match(/<circle /g)?.length).toBe(1); // the legend's
  const shown = [...svg.matchAll(/text-anchor="middle">([\d.]+)</g)].map((match) => match[1]);
  expect(shown).toEqual(["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4"]);
});

test("charts of a sheet are side by side, row by row", () => {
  const one = { ...chart, series: [] };
  expect(drawn(one, one, one).match(/translate\([^)]*\)/g)).toEqual([
    "translate(0 0)",
    "translate(720 0)",
    "translate(0 360)",
  ]);
});
