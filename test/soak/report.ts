/** The table that a soak ends with. */
import type { Faults } from "./faults.ts";
import type { Parts } from "./parts.ts";
import type { Pulls } from "./pulls.ts";

/** Of the heap and buffers in use: code is compiled late, and a pull may still be going on at either moment. */
const allowedGrowthBytes = 30 * 1024 * 1024;

/** What is reported. */
export interface SoakResult {
  readonly parts: Parts;
  readonly pulls: Pulls;
  readonly faults: Faults;
  readonly seconds: number;
  /** Whether every puller was served when the faults were over. */
  readonly isWellAfterwards: boolean;
}

/** Print the table; resolves to whether all is as it should be. */
export async function report({ parts, pulls, faults, seconds, isWellAfterwards }: SoakResult): Promise<boolean> {
  const count = (outcome: Parameters<Pulls["outcomes"]["get"]>[0]) => pulls.outcomes.get(outcome) ?? 0;
  console.log(`\nsoaked ${seconds.toFixed(0)} s: ${pulls.count} pulls, slowest ${pulls.slowestMs} ms`);
  console.log(
    `right ${count("right")}, clean break ${count("break")}, reader left ${count("left")}, client down ${count("down")}`,
  );
  for (const one of pulls.breaks.slice(0, 20)) console.log(`  broken off: ${one}`);
  console.log(`wrong bytes ${count("wrong")}, hangs ${count("hang")}`);
  for (const bad of pulls.bad) console.log(`  ${bad}`);
  const sources = [...pulls.bySource].map(([source, bytes]) => `${source} ${(bytes / 1e6).toFixed(1)} MB`);
  console.log(`bytes by source: ${sources.join(", ")}`);
  const kinds = [...faults.counts].sort(([a], [b]) => a.localeCompare(b)).map(([kind, n]) => `${kind} ${n}`);
  const injected = [...faults.counts.values()].reduce((sum, n) => sum + n, 0);
  console.log(`faults injected: ${injected} (${kinds.join(", ")})`);
  const [grown, dead]: [string[], string[]] = [[], []];
  console.log(
    line("program", "restarts", "RSS start", "RSS end", "peak", "used start", "used end", "fd start", "fd end"),
  );
  for (const part of parts.all()) {
    const { begin, process } = part;
    if (process.exit !== undefined) {
      console.log(`${part.name} IS DEAD: ${JSON.stringify(process.exit)}\n${process.log().slice(-2_000)}`);
      dead.push(part.name);
      continue;
    }
    const end = await part.size();
    const memory = [begin?.rssBytes, end.rssBytes, end.peakBytes, begin?.usedBytes, end.usedBytes].map(mb);
    console.log(line(part.name, part.restarts, ...memory, begin?.descriptors ?? "-", end.descriptors));
    if (begin?.usedBytes !== undefined && end.usedBytes! - begin.usedBytes > allowedGrowthBytes) grown.push(part.name);
  }
  for (const name of grown) console.log(`${name} USES MORE MEMORY than when it had warmed up`);
  console.log(`after the faults every puller ${isWellAfterwards ? "was" : "WAS NOT"} served`);
  const traces = parts.all().filter((part) => /unhandled|uncaught|panic:|MaxListeners/.test(part.log()));
  for (const { name } of traces) console.log(`${name} has written a trace of a bug`);
  return count("wrong") + count("hang") + traces.length + grown.length + dead.length === 0 && isWellAfterwards;
}

function mb(bytes: number | undefined): string {
  return bytes === undefined ? "-" : `${Math.round(bytes / 1024 / 1024)} MB`;
}

function line(...cells: readonly (string | number)[]): string {
  return cells.map((cell, i) => (i === 0 ? String(cell).padEnd(10) : String(cell).padStart(10))).join(" ");
}
