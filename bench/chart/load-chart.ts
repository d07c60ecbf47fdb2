/** Throughput over the number of blobs at once, from a run of "load". */
import { coldName } from "../load/cold.ts";
import type { Way } from "../load/rig.ts";
import { coldCounts, coldSizeBytes } from "../load/rows.ts";
import type { FigureRecord } from "../report.ts";
import type { Chart, Series } from "./svg.ts";

type Figures = readonly FigureRecord[];

/** The chart. */
export function loadChart(figures: Figures): Chart {
  return {
    title: `Different cold blobs of ${coldSizeBytes / 1e6} MB at once, one client`,
    xLabel: "blobs at once",
    yLabel: "MB/s in sum",
    xs: coldCounts,
    scale: "each",
    series: [
      seriesOf(figures, "straight", "direct face", "straight"),
      seriesOf(figures, "direct face", "direct face", "sum"),
      seriesOf(figures, "direct face, one blob", "direct face", "one blob of the sum"),
      seriesOf(figures, "ndnd", "ndnd", "sum"),
      seriesOf(figures, "ndnd, one blob", "ndnd", "one blob of the sum"),
    ],
  };
}

function medianOf(figures: Figures, row: string, quantity: string): number | undefined {
  return figures.find(({ name }) => name === `${row}: ${quantity}`)?.median;
}

/** A point of which much came past NDN is left out: it says nothing about NDN. */
function seriesOf(figures: Figures, name: string, way: Way, quantity: string): Series {
  const values = coldCounts.map((blobs) => {
    const row = coldName({ way, clients: 1, blobs, sizeBytes: coldSizeBytes });
    const isPastNdn = (medianOf(figures, row, "past NDN") ?? 0) > (0.01 * blobs * coldSizeBytes) / 1e6;
    return isPastNdn && quantity === "sum" ? undefined : medianOf(figures, row, quantity);
  });
  return { name, values };
}
