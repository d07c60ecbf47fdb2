/**
 * `npm run bench`: measures scenario by scenario, each with processes of its own, and prints a table for each.
 *
 *     npm run bench -- --only transfer,links --rounds 5 --size 100000000 --out bench/results/today.json
 *
 * Cold means that a blob's name was never asked before. `--rows 0,3` takes only these rows of "transfer", "load",
 * "links" or "udp", `--seconds 60` is how long the slow reader of "memory" reads and a row of "links" takes at most,
 * `--checkout DIR` measures another checkout's programs, `--pairs DIR` says where pairs of layers are for "delta".
 *
 *     npm run bench -- --against ../before
 *
 * measures this checkout and another one in turn, twelve rounds, and ends with status 1 where a row became worse.
 */
import { rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkout, missingPrograms } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { comparable, comparableRounds, compare, isWorse, printComparison, runBoth } from "./against.ts";
import { checked } from "./checked.ts";
import { deltas } from "./deltas.ts";
import { firstByte } from "./first-byte.ts";
import { links } from "./links.ts";
import { load } from "./load.ts";
import { many } from "./many.ts";
import { memory } from "./memory.ts";
import { pullers } from "./pullers.ts";
import { describeRun, printResult, recordResult, type ScenarioRecord } from "./report.ts";
import type { Context, Result, Scenario } from "./scenario.ts";
import { transfer } from "./transfer.ts";
import { udp } from "./udp.ts";
import { warm } from "./warm.ts";

const scenarios: readonly Scenario[] = [
  transfer,
  firstByte,
  checked,
  many,
  warm,
  links,
  udp,
  memory,
  load,
  pullers,
  deltas,
];
/** Without the long ones. */
const usual = "transfer,first-byte,many,warm,pullers";
const allNames = scenarios.map(({ name }) => name);

interface Options extends Omit<Context, "folder" | "progress"> {
  readonly wanted: readonly Scenario[];
  readonly out: string | undefined;
  /** Another checkout. */
  readonly against: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      rounds: { type: "string" },
      size: { type: "string" },
      seconds: { type: "string", default: "60" },
      rows: { type: "string" },
      pairs: { type: "string" },
      out: { type: "string" },
      against: { type: "string" },
      checkout: { type: "string" },
    },
  });
  const { against } = values;
  const only = values.only ?? (against === undefined ? usual : comparable.join(","));
  return {
    wanted: only.split(",").map((name) => scenarioNamed(name, against === undefined ? allNames : comparable)),
    rounds: positive("rounds", values.rounds ?? (against === undefined ? "5" : String(comparableRounds))),
    sizeBytes: values.size === undefined ? undefined : positive("size", values.size),
    seconds: positive("seconds", values.seconds),
    rows: values.rows?.split(",").map(Number),
    ...(values.pairs !== undefined && { pairs: resolve(values.pairs) }),
    out: values.out,
    against: against && resolve(against),
    ...(values.checkout !== undefined && { checkout: resolve(values.checkout) }),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new Error(`--${option} has to be a positive whole number: ${text}`);
  return value;
}

function scenarioNamed(wanted: string, allowed: readonly string[]): Scenario {
  const found = scenarios.find(({ name }) => name === wanted && allowed.includes(name));
  if (found === undefined) throw new Error(`no scenario "${wanted}" here: ${allowed.join(", ")}`);
  return found;
}

/** One that breaks off leaves the others their turn, and the run a failure. */
async function runScenario(scenario: Scenario, options: Options): Promise<ScenarioRecord> {
  await using folder = await makeTemporaryFolder();
  const removeOnExit = () => rmSync(folder.path, { recursive: true, force: true });
  process.once("exit", removeOnExit); // for a run that is interrupted
  const progress = (line: string) => void process.stderr.write(`${scenario.name}: ${line}\n`);
  try {
    const context = { ...options, folder: folder.path, progress };
    const { against } = options;
    const result = against === undefined ? await scenario.run(context) : await runAgainst(scenario, context, against);
    if (against === undefined) printResult(scenario.title, result);
    return recordResult(result);
  } catch (err: unknown) {
    const error = (err as Error).message;
    console.error(`bench: ${scenario.name}: ${error}`);
    process.exitCode = 1;
    return { error, figures: [] };
  } finally {
    process.off("exit", removeOnExit);
  }
}

/** Also of another checkout, in turn; a row that became worse makes the run a failure. Resolves with this one's figures. */
async function runAgainst(scenario: Scenario, context: Context, other: string): Promise<Result> {
  const folders = [join(context.folder, "other"), join(context.folder, "this")] as const;
  const [theirs, ours] = await runBoth(scenario, context, folders, [other, checkout]);
  const comparisons = compare(theirs.figures, ours.figures);
  printComparison(scenario.title, comparisons);
  for (const row of comparisons.filter(isWorse)) {
    console.error(`bench: ${scenario.name}: "${row.name}" became worse: ${row.ratio.toFixed(3)} of the other`);
    process.exitCode = 1;
  }
  return ours;
}

async function main(): Promise<void> {
  const options = readOptions();
  const missing = missingPrograms(["ndnd", "docker-registry", "curl"]);
  if (missing.length > 0) throw new Error(`these programs are needed: ${missing.join(", ")} (see CONTRIBUTING.md)`);
  const records: Record<string, ScenarioRecord> = {};
  for (const scenario of options.wanted) records[scenario.name] = await runScenario(scenario, options);
  if (options.out === undefined) return;
  await mkdir(dirname(options.out), { recursive: true });
  await writeFile(
    options.out,
    `${JSON.stringify({ ...describeRun(options.rounds), scenarios: records }, undefined, 1)}\n`,
  );
}

// An exit by itself, unlike one by a signal, stops what was started.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
main().catch((err: unknown) => {
  console.error(`bench: ${(err as Error).message}`);
  process.exitCode = 1;
});
