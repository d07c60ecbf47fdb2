/**
 * `npm run bench`: one table in one run. Each round moves a fresh blob once by every row, in turn, so that a slow
 * moment of the machine hits all rows alike; cold means that its name was never asked before.
 *
 *     npm run bench -- --rounds 5 --size 100000000 --rows 0,3 --out bench/results/today.json
 */
import { writeFile } from "node:fs/promises";
import { cpus, type } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingPrograms } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { type Rig, startRig } from "./rig.ts";
import { checkFile, type Row, rows } from "./rows.ts";
import { median } from "./statistics.ts";

interface Result {
  readonly name: string;
  readonly seconds: number[];
}

async function measure(row: Row, rig: Rig, sizeBytes: number): Promise<number> {
  const file = join(rig.folder, "output");
  const prepared = await row.prepare(rig, sizeBytes, file);
  try {
    const startedAtMs = performance.now();
    await prepared.transfer();
    const seconds = (performance.now() - startedAtMs) / 1000;
    await checkFile(file, prepared.digest);
    return seconds;
  } finally {
    await prepared.cleanUp?.();
  }
}

function print(results: readonly Result[], sizeBytes: number): void {
  const reference = median(results[0]!.seconds);
  console.table(
    results.map(({ name, seconds }) => ({
      way: name,
      "MB/s (median)": (sizeBytes / 1e6 / median(seconds)).toFixed(0),
      "MB/s (min-max)": `${mbps(sizeBytes, Math.max(...seconds))}-${mbps(sizeBytes, Math.min(...seconds))}`,
      "first row is … times as fast": (median(seconds) / reference).toFixed(2),
    })),
  );
}

function mbps(sizeBytes: number, seconds: number): string {
  return (sizeBytes / 1e6 / seconds).toFixed(0);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      size: { type: "string", default: "100000000" },
      rows: { type: "string" },
      out: { type: "string" },
    },
  });
  const missing = missingPrograms(["ndnd", "docker-registry", "curl"]);
  if (missing.length > 0) throw new Error(`these programs are needed: ${missing.join(", ")} (see CONTRIBUTING.md)`);
  const wanted = values.rows ? values.rows.split(",").map((index) => rows[Number(index)]!) : rows;
  const [rounds, sizeBytes] = [Number(values.rounds), Number(values.size)];
  const results: Result[] = wanted.map(({ name }) => ({ name, seconds: [] }));

  await using owned = new AsyncDisposableStack();
  const { path } = owned.use(await makeTemporaryFolder());
  const rig = await startRig(path, owned);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, row] of wanted.entries()) {
      const seconds = await measure(row, rig, sizeBytes);
      if (round > 0) results[index]!.seconds.push(seconds); // the first round warms up programs, not blobs
      process.stderr.write(`${round === 0 ? "warm-up" : `round ${round}`}: ${row.name}: ${seconds.toFixed(2)} s\n`);
    }
  }
  print(results, sizeBytes);
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, system: type(), node: process.version };
  const record = { date: new Date().toISOString(), machine, sizeBytes, rounds, results };
  if (values.out) await writeFile(values.out, `${JSON.stringify(record, undefined, 1)}\n`);
}

main().catch((err: unknown) => {
  console.error(`bench: ${(err as Error).message}`);
  process.exitCode = 1;
});
