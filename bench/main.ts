/**
 * `npm run bench`: measures scenario by scenario, each with processes of its own, and prints a table for each.
 *
 *     npm run bench -- --only transfer,links --rounds 5 --size 100000000 --out bench/results/today.json
 *
 * Cold means that a blob's name was never asked before. `--rows 0,3` takes only these rows of "transfer", `--seconds 60`
 * is how long the slow reader of "memory" reads.
 */
import { rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { missingPrograms } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { checked } from "./checked.ts";
import { firstByte } from "./first-byte.ts";
import { links } from "./links.ts";
import { many } from "./many.ts";
import { memory } from "./memory.ts";
import { pullers } from "./pullers.ts";
import { describeRun, printResult, recordResult, type ScenarioRecord } from "./report.ts";
import type { Context, Scenario } from "./scenario.ts";
import { transfer } from "./transfer.ts";
import { warm } from "./warm.ts";

const scenarios: readonly Scenario[] = [transfer, firstByte, checked, many, warm, links, memory, pullers];
/** Without the long ones. */
const usual = "transfer,first-byte,many,warm,pullers";

interface Options extends Omit<Context, "folder" | "progress"> {
  readonly wanted: readonly Scenario[];
  readonly out: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: usual },
      rounds: { type: "string", default: "5" },
      size: { type: "string" },
      seconds: { type: "string", default: "60" },
      rows: { type: "string" },
      out: { type: "string" },
    },
  });
  return {
    wanted: values.only.split(",").map(scenarioNamed),
    rounds: positive("rounds", values.rounds),
    sizeBytes: values.size === undefined ? undefined : positive("size", values.size),
    seconds: positive("seconds", values.seconds),
    rows: values.rows?.split(",").map(Number),
    out: values.out,
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new Error(`--${option} has to be a positive whole number: ${text}`);
  return value;
}

function scenarioNamed(wanted: string): Scenario {
  const found = scenarios.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`no scenario "${wanted}": ${scenarios.map(({ name }) => name).join(", ")}`);
  return found;
}

/** One that breaks off leaves the others their turn, and the run a failure. */
async function runScenario(scenario: Scenario, options: Options): Promise<ScenarioRecord> {
  await using folder = await makeTemporaryFolder();
  const removeOnExit = () => rmSync(folder.path, { recursive: true, force: true });
  process.once("exit", removeOnExit); // for a run that is interrupted
  const progress = (line: string) => void process.stderr.write(`${scenario.name}: ${line}\n`);
  try {
    const result = await scenario.run({ ...options, folder: folder.path, progress });
    printResult(scenario.title, result);
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
