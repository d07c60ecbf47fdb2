/**
 * `npm run bench:chart -- RUN.json docs/load.svg`: throughput over the number of blobs at once, from a run of "load" that
 * `--out` has kept.
 */
import { readFile, writeFile } from "node:fs/promises";
import type { RunRecord } from "../report.ts";
import { coldName } from "./cold.ts";
import type { Way } from "./rig.ts";
import { coldCounts, coldSizeBytes } from "./rows.ts";
import { lineChart, type Series } from "./svg.ts";

const [recorded, drawn] = process.argv.slice(2);
if (recorded === undefined || drawn === undefined) throw new Error("a run that --out wrote and a file to draw to");
const run = JSON.parse(await readFile(recorded, "utf8")) as RunRecord;
const figures = run.scenarios.load?.figures ?? [];

function medianOf(row: string, quantity: string): number | undefined {
  return figures.find(({ name }) => name === `${row}: ${quantity}`)?.median;
}

/** A point of which much came past NDN is left out: it says nothing about NDN. */
function seriesOf(name: string, way: Way, quantity: string): Series {
  const values = coldCounts.map((blobs) => {
    const row = coldName({ way, clients: 1, blobs, sizeBytes: coldSizeBytes });
    const isPastNdn = (medianOf(row, "past NDN") ?? 0) > (0.01 * blobs * coldSizeBytes) / 1e6;
    return isPastNdn && quantity === "sum" ? undefined : medianOf(row, quantity);
  });
  return { name, values };
}

const chart = lineChart({
  title: `Different cold blobs of ${coldSizeBytes / 1e6} MB at once, one client`,
  xLabel: "blobs at once",
  yLabel: "MB/s in sum",
  xs: coldCounts,
  series: [
    seriesOf("straight", "direct face", "straight"),
    seriesOf("direct face", "direct face", "sum"),
    seriesOf("direct face, one blob", "direct face", "one blob of the sum"),
    seriesOf("ndnd", "ndnd", "sum"),
    seriesOf("ndnd, one blob", "ndnd", "one blob of the sum"),
  ],
});
await writeFile(drawn, chart);
