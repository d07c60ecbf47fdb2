/**
 * What becomes of figures: a table to read, and a record to keep and compare.
 */
import { cpus, type } from "node:os";
import type { Figure, Goal, Result } from "./scenario.ts";

/** A whole run, as `--out` writes it. */
export interface RunRecord {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: { cpus: number; model: string | undefined; system: string; node: string };
  readonly rounds: number;
  readonly scenarios: Readonly<Record<string, ScenarioRecord>>;
}

/** One scenario of it; `error` is there when it broke off. */
export interface ScenarioRecord {
  readonly sizeBytes?: number;
  readonly error?: string;
  readonly figures: readonly FigureRecord[];
}

/** A figure with all raw values. */
export interface FigureRecord extends Partial<Goal> {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly values: readonly number[];
}

/** Print a scenario's table. */
export function printResult(title: string, { figures, sizeBytes }: Result): void {
  console.log(sizeBytes === undefined ? `\n${title}` : `\n${title} (${rounded(sizeBytes / 1e6)} MB)`);
  const isByRows = figures.some(({ row }) => row !== undefined);
  for (const table of isByRows ? tablesByRows(figures) : [tableOfEach(figures)]) console.table(table);
}

type Table = Record<string, Record<string, number | string>>;

/** A line for each figure. */
function tableOfEach(figures: readonly Figure[]): Table {
  return Object.fromEntries(
    figures.map(({ name, unit, values, goal }) => [
      name,
      {
        median: rounded(median(values)),
        min: rounded(Math.min(...values)),
        max: rounded(Math.max(...values)),
        unit,
        needed: goal?.needed ?? "",
        aim: goal?.aim ?? "",
        reached: goal === undefined ? "" : reached(median(values), goal),
      },
    ]),
  );
}

/**
 * Lines of several quantities each: medians, and what is needed beside those of which something is. Lines of the same
 * quantities are in one table.
 */
export function tablesByRows(figures: readonly Figure[]): Table[] {
  const lines = new Map<string, Table[string]>();
  for (const { name, row = "", unit, values, goal } of figures.filter(({ isOverTime }) => !isOverTime)) {
    const value = median(values);
    const line = lines.get(row) ?? {};
    line[`${name.slice(row.length + 2)} ${unit}`.trim()] = goal === undefined ? rounded(value) : beside(value, goal);
    lines.set(row, line);
  }
  const tables = Map.groupBy(lines, ([, line]) => Object.keys(line).join());
  return [...tables.values()].map((rows) => Object.fromEntries(rows));
}

function beside(value: number, goal: Goal): string {
  const isReached = reached(value, goal) !== "NO";
  return `${rounded(value)} ${isReached ? "✓" : "✗"} ${rounded(goal.needed)}`;
}

/** Which of the two marks a value reaches. */
export function reached(value: number, { needed, aim }: Goal): "aim" | "needed" | "NO" {
  const isAsGoodAs = (mark: number) => (aim >= needed ? value >= mark : value <= mark);
  if (isAsGoodAs(aim)) return "aim";
  return isAsGoodAs(needed) ? "needed" : "NO";
}

/** The record of a scenario that came to its end. */
export function recordResult({ sizeBytes, figures }: Result): ScenarioRecord {
  return { ...(sizeBytes === undefined ? {} : { sizeBytes }), figures: figures.map(recordFigure) };
}

function recordFigure({ name, unit, goal, values }: Figure): FigureRecord {
  return { name, unit, ...goal, median: median(values), values };
}

/** Everything about this run but its figures. */
export function describeRun(rounds: number): Omit<RunRecord, "scenarios"> {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, system: type(), node: process.version };
  return { date: new Date().toISOString(), machine, rounds };
}

/** The middle value; of an even number of values, the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Three significant digits, so that figures of any unit fit one column. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
