/**
 * `npm run bench:chart -- RUN.json FILE.svg`: a picture of the run of "load" or "links" that `--out` has kept.
 */
import { readFile, writeFile } from "node:fs/promises";
import type { RunRecord } from "../report.ts";
import { linkCharts, linkColumns } from "./link-charts.ts";
import { loadChart } from "./load-chart.ts";
import { chartSheet } from "./svg.ts";

const [recorded, drawn] = process.argv.slice(2);
if (recorded === undefined || drawn === undefined) throw new Error("a run that --out wrote and a file to draw to");
const { load, links } = (JSON.parse(await readFile(recorded, "utf8")) as RunRecord).scenarios;
if (load === undefined && links === undefined) throw new Error(`neither "load" nor "links" is in ${recorded}`);
const sheet =
  links === undefined ? chartSheet([loadChart(load!.figures)]) : chartSheet(linkCharts(links.figures), linkColumns);
await writeFile(drawn, sheet);
