/**
 * `npm run bench:compare -- A.json B.json`: the medians of two runs side by side.
 */
import { readFile } from "node:fs/promises";
import { type FigureRecord, type RunRecord, reached, rounded } from "./report.ts";

async function read(path: string): Promise<RunRecord> {
  return JSON.parse(await readFile(path, "utf8")) as RunRecord;
}

function figuresOf(run: RunRecord, scenario: string): readonly FigureRecord[] {
  return run.scenarios[scenario]?.figures ?? [];
}

function compare(scenario: string, [a, b]: readonly [RunRecord, RunRecord]): void {
  const [before, after] = [figuresOf(a, scenario), figuresOf(b, scenario)];
  const names = new Set([...before, ...after].map(({ name }) => name));
  console.log(`\n${scenario} (${sizeOf(a, scenario)} and ${sizeOf(b, scenario)})`);
  console.table(Object.fromEntries([...names].map((name) => [name, lineOf(name, before, after)])));
}

function sizeOf(run: RunRecord, scenario: string): string {
  const record = run.scenarios[scenario];
  if (record === undefined) return "not measured";
  if (record.error !== undefined) return "broken off";
  return record.sizeBytes === undefined ? "several sizes" : `${rounded(record.sizeBytes / 1e6)} MB`;
}

function lineOf(name: string, before: readonly FigureRecord[], after: readonly FigureRecord[]) {
  const [a, b] = [before, after].map((figures) => figures.find((figure) => figure.name === name));
  return {
    A: a === undefined ? "" : rounded(a.median),
    B: b === undefined ? "" : rounded(b.median),
    unit: (a ?? b)!.unit,
    "B / A": a === undefined || b === undefined || a.median === 0 ? "" : rounded(b.median / a.median),
    needed: b?.needed ?? "",
    aim: b?.aim ?? "",
    "B reaches": b === undefined ? "" : reachedBy(b),
  };
}

function reachedBy({ median, needed, aim }: FigureRecord): string {
  return needed === undefined || aim === undefined ? "" : reached(median, { needed, aim });
}

async function main(paths: readonly string[]): Promise<void> {
  if (paths.length !== 2) throw new Error("two files that --out wrote are needed");
  const runs = [await read(paths[0]!), await read(paths[1]!)] as const;
  for (const [index, { date, machine, rounds }] of runs.entries()) {
    console.log(`${"AB"[index]}: ${paths[index]}, ${date}, ${rounds} rounds, ${machine.model}, Node ${machine.node}`);
  }
  const names = new Set(runs.flatMap(({ scenarios }) => Object.keys(scenarios)));
  for (const name of names) compare(name, runs);
}

main(process.argv.slice(2)).catch((err: unknown) => {
  console.error(`bench:compare: ${(err as Error).message}`);
  process.exitCode = 1;
});
