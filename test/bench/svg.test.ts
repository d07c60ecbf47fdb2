import { expect, test } from "vitest";
import { lineChart } from "#bench/load/svg.ts";

const chart = { title: "Load", xLabel: "blobs", yLabel: "MB/s", xs: [1, 4, 16] };

function ticks(values: readonly number[]): string[] {
  const svg = lineChart({ ...chart, series: [{ name: "all", values }] });
  return [...svg.matchAll(/text-anchor="end">([^<]*)</g)].map((match) => match[1]!);
}

test("a chart has a line for each series, with a dot for each value that was measured", () => {
  const series = [
    { name: "straight", values: [300, 400, 350] },
    { name: "ours & <theirs>", values: [100, undefined, 200] },
    { name: "nothing", values: [undefined, undefined, undefined] },
  ];
  const svg = lineChart({ ...chart, series });
  expect(svg.match(/stroke-width="2"/g)?.length).toBe(2);
  expect(svg.match(/<circle /g)?.length).toBe(3 + 2 + 3); // the last three are the legend's
  expect(svg).toContain(">ours &amp; &lt;theirs></text>");
});

test("a higher value is further up, and 0 is at the bottom", () => {
  const svg = lineChart({ ...chart, series: [{ name: "all", values: [0, 100, 50] }] });
  const [zero, hundred, fifty] = [...svg.matchAll(/cy="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(zero! - hundred!).toBeCloseTo(2 * (zero! - fifty!));
  expect(zero).toBeGreaterThan(hundred!);
});

test("the y axis has round numbers and reaches above the highest value", () => {
  expect(ticks([1, 2, 730])).toEqual(["0", "100", "200", "300", "400", "500", "600", "700", "800"]);
  expect(ticks([0.2, 1.1, 0.5])).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2"]);
  expect(ticks([30, 50, 10])).toEqual(["0", "10", "20", "30", "40", "50"]);
});
