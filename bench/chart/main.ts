/**
 * `npm run bench:chart -- RUN.json FILE.svg`: a picture of the run of "load" or "links" that `--out` has kept.
 * `npm run bench:chart -- simulated FILE.svg`: one of links that are simulated now.
 */
import { readFile, writeFile } from "node:fs/promises";
import type { RunRecord } from "../report.ts";
import { linkCharts, linkColumns } from "./link-charts.ts";
import { loadChart } from "./load-chart.ts";
import { simulatedCharts, simulatedColumns } from "./simulated-charts.ts";
import { chartSheet } from "./svg.ts";

const [what, drawn] = process.argv.slice(2);
if (what === undefined || drawn === undefined) throw new Error('a run that --out wrote, or "simulated", and a file');
await writeFile(drawn, what === "simulated" ? chartSheet(simulatedCharts(), simulatedColumns) : await drawRun(what));

async function drawRun(file: string): Promise<string> {
  const { load, links } = (JSON.parse(await readFile(file, "utf8")) as RunRecord).scenarios;
  if (links !== undefined) return chartSheet(linkCharts(links.figures), linkColumns);
  if (load !== undefined) return chartSheet([loadChart(load.figures)]);
  throw new Error(`neither "load" nor "links" is in ${file}`);
}
