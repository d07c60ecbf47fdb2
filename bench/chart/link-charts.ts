/** Rate, queue and window over time on each link, from a run of "links". */

import { watchWindowMs } from "../links/cross.ts";
import { type BenchLink, benchLinks, linkName, losses } from "../links/link.ts";
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

/** A row of the run, and what its line is called. */
interface Line {
  readonly name: string;
  readonly row: string;
}

/** A row of charts for each link with its losses, on the server's own face and through ndnd, and with all else. */
export function linkCharts(figures: Figures): Chart[] {
  const places: readonly LinkPlace[] = ["direct face", "ndnd"];
  const tables = places.flatMap((place) =>
    benchLinks.map((link) => ({ title: `${linkName(link)}, ${place}`, lines: linesOfLosses(place, link) })),
  );
  const known = new Set(tables.flatMap(({ lines }) => lines.map(({ row }) => row)));
  const others = benchLinks.map((link) => ({
    title: linkName(link),
    lines: linesOf(figures, `${linkName(link)}, `).filter(({ row }) => !known.has(row)),
  }));
  return [...tables, ...others].flatMap(({ title, lines }) => {
    const measured = lines.filter(({ row }) => stepOf(figures, row) !== undefined);
    return measured.length === 0 ? [] : columns.map((column) => chartOf(figures, title, column, measured));
  });
}

function linesOfLosses(place: LinkPlace, link: BenchLink): Line[] {
  return losses.map((loss) => ({ name: `${100 * loss} % lost`, row: lossName(place, link, loss) }));
}

/** All rows that begin so and have a time-line. */
function linesOf(figures: Figures, start: string): Line[] {
  const end = `: ${timeline.step}`;
  const rows = figures.filter(({ name }) => name.startsWith(start) && name.endsWith(end));
  return rows.map(({ name }) => ({ name: name.slice(start.length, -end.length), row: name.slice(0, -end.length) }));
}

/** Lines with steps of different lengths are drawn with the longest of them. */
function chartOf(
  figures: Figures,
  title: string,
  { quantity, yLabel }: (typeof columns)[number],
  lines: readonly Line[],
): Chart {
  const isWindow = quantity === timeline.window;
  const stepsMs = lines.map(({ row }) => (isWindow ? watchWindowMs : stepOf(figures, row)!));
  const stepMs = Math.max(...stepsMs);
  const series = lines.map(({ name, row }, nth) => ({
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
