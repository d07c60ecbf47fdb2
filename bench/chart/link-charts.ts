/** Rate, queue and window over time on each link, from a run of "links". */

import { watchWindowMs } from "../links/cross.ts";
import { benchLinks, linkName, losses } from "../links/link.ts";
import { lossName } from "../links/ndn-row.ts";
import { timeline } from "../links/notes.ts";
import type { LinkPlace } from "../links/rig.ts";
import type { FigureRecord } from "../report.ts";
import type { Chart } from "./svg.ts";

type Figures = readonly FigureRecord[];

const columns = [
  { quantity: timeline.rate, yLabel: "of the link's rate, packets with all they have" },
  { quantity: timeline.wait, yLabel: "longest wait for the bottleneck, ms" },
  { quantity: timeline.window, yLabel: "window, segments" },
] as const;

/** Charts in a row. */
export const linkColumns = columns.length;

/** A row of charts for each link over which something was measured, first those on the server's own face. */
export function linkCharts(figures: Figures): Chart[] {
  const places: readonly LinkPlace[] = ["direct face", "ndnd"];
  return places.flatMap((place) =>
    benchLinks.flatMap((link) => {
      const rows = losses.map((loss) => ({ name: `${100 * loss} % lost`, row: lossName(place, link, loss) }));
      const measured = rows.filter(({ row }) => stepOf(figures, row) !== undefined);
      if (measured.length === 0) return [];
      return columns.map((column) => chartOf(figures, `${linkName(link)}, ${place}`, column, measured));
    }),
  );
}

/** Lines with steps of different lengths are drawn with the longest of them. */
function chartOf(
  figures: Figures,
  title: string,
  { quantity, yLabel }: (typeof columns)[number],
  rows: readonly { readonly name: string; readonly row: string }[],
): Chart {
  const isWindow = quantity === timeline.window;
  const stepsMs = rows.map(({ row }) => (isWindow ? watchWindowMs : stepOf(figures, row)!));
  const stepMs = Math.max(...stepsMs);
  const series = rows.map(({ name, row }, nth) => ({
    name,
    values: coarser(valuesOf(figures, row, quantity), stepMs / stepsMs[nth]!),
  }));
  const length = Math.max(...series.map(({ values }) => values.length));
  const xs = Array.from({ length }, (_, nth) => (nth * stepMs) / 1000);
  return { title, xLabel: "seconds", yLabel, xs, scale: "linear", series };
}

function stepOf(figures: Figures, row: string): number | undefined {
  return valuesOf(figures, row, timeline.step)[0];
}

function valuesOf(figures: Figures, row: string, quantity: string): readonly number[] {
  return figures.find(({ name }) => name === `${row}: ${quantity}`)?.values ?? [];
}

/** Means of so many values each. */
function coarser(values: readonly number[], factor: number): number[] {
  return Array.from({ length: Math.ceil(values.length / factor) }, (_, nth) => {
    const part = values.slice(nth * factor, (nth + 1) * factor);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
