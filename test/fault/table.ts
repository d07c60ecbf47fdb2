/** The table that the fault suite ends with. */
import { writeSync } from "node:fs";
import type { Row } from "./run-case.ts";

/** The rows as text, and how many cases ended how. */
export function formatTable(title: string, rows: readonly Row[], wallMs: number): string {
  const width = Math.max(4, ...rows.map(({ name }) => name.length));
  const line = (cells: readonly [string, ...(string | number)[]]) =>
    [cells[0].padEnd(width), ...cells.slice(1).map((cell) => String(cell).padStart(11))].join(" ");
  const bad = rows.filter(({ problems }) => problems.length > 0);
  const count = (outcome: string) => rows.filter((row) => row.outcome === outcome).length;
  const seconds = (wallMs / 1000).toFixed(1);
  return [
    `${title}: ${rows.length} runs of ${new Set(rows.map(({ name }) => name)).size} cases in ${seconds} s`,
    line(["case", "seed", "outcome", "ms", "settled ms", "NDN KB", "upstream KB", "problems"]),
    ...rows.map((row) =>
      line([
        ...([row.name, row.seed, row.outcome, row.ms, row.settledMs] as const),
        ...[kilobytes(row.ndnBytes), kilobytes(row.upstreamBytes), row.problems.length],
      ]),
    ),
    `right ${count("right")}, clean break ${count("clean break")}, reader left ${count("left")}, ` +
      `mixed ${rows.length - count("right") - count("clean break") - count("left")}, with problems ${bad.length}`,
    "",
  ].join("\n");
}

/** Write past the test runner, which would put a heading around every piece of output. */
export function printTable(text: string): void {
  writeSync(1, `\n${text}`);
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 1000);
}
