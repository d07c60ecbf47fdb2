/**
 * "delta": what layers cost as differences from others: bytes, CPU time and memory of those who make and apply them. Pairs of
 * layers come from `--pairs DIR`: a folder for each, with `old.tar`, `new.tar`, and `new.tar.gz`, of which deltas are shares.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkout } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import type { Cost } from "./deltas/once.ts";
import { type Context, collect, type Note, type Scenario } from "./scenario.ts";

const once = join(checkout, "bench/deltas/once.ts");
const timeoutMs = 30 * 60_000;
/** Of all pairs of real layers that the aims were set by, together. */
const goals = {
  share: { needed: 14, aim: 11 },
  make: { needed: 80, aim: 60 },
  apply: { needed: 60, aim: 40 },
  memory: { needed: 512, aim: 300 },
};

/** Once: sizes are always the same. */
export const deltas: Scenario = {
  name: "delta",
  title: "delta: layers as differences (times are CPU seconds per GB of the new tar)",
  async run(context) {
    if (context.pairs === undefined) throw new Error("--pairs DIR has to say where pairs of layers are");
    const names = (await readdir(context.pairs)).filter((name) => !name.startsWith(".")).sort();
    const costs: PairCost[] = [];
    const figures = await collect(async (note) => {
      for (const name of names) {
        const cost = await measurePair(context, join(context.pairs!, name));
        context.progress(name);
        noteRow(note, name, cost);
        costs.push(cost);
      }
      noteRow(note, "all", sumOf(costs), goals);
    });
    return { figures };
  },
};

interface PairCost {
  readonly layerBytes: number;
  readonly deltaBytes: number;
  readonly tarBytes: number;
  readonly make: Cost;
  readonly apply: Cost;
}

async function measurePair({ folder }: Context, pair: string): Promise<PairCost> {
  const [base, target] = [join(pair, "old.tar"), join(pair, "new.tar")];
  const [delta, out] = [join(folder, "delta"), join(folder, "out.tar")];
  const [tarBytes, sha256] = [await sizeOf(target), await sha256Of(target)];
  const make = await measure("make", base, target, delta);
  const apply = await measure("apply", base, delta, out, String(tarBytes), sha256);
  if ((await sha256Of(out)) !== sha256) throw new Error(`${pair} came out wrong`);
  await rm(out);
  return { layerBytes: await sizeOf(`${target}.gz`), deltaBytes: make.sizeBytes, tarBytes, make, apply };
}

async function measure(...args: string[]): Promise<Cost> {
  const { stdout } = await run(process.execPath, [once, ...args], { cwd: checkout, timeoutMs });
  return JSON.parse(stdout) as Cost;
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

function noteRow(note: Note, row: string, cost: PairCost, goal: Partial<typeof goals> = {}): void {
  const quantity = (name: string, unit: string, of?: (typeof goals)["share"]) => ({
    name: `${row}: ${name}`,
    row,
    unit,
    ...(of && { goal: of }),
  });
  const perGigabyte = ({ cpuSeconds }: Cost) => (cpuSeconds * 1e9) / cost.tarBytes;
  note(quantity("layer", "MB"), cost.layerBytes / 1e6);
  note(quantity("delta", "KB"), cost.deltaBytes / 1e3);
  note(quantity("share", "%", goal.share), (100 * cost.deltaBytes) / cost.layerBytes);
  note(quantity("make", "s/GB", goal.make), perGigabyte(cost.make));
  note(quantity("apply", "s/GB", goal.apply), perGigabyte(cost.apply));
  note(quantity("maker's peak", "MB", goal.memory), cost.make.peakBytes / 1e6);
  note(quantity("applier's peak", "MB", goal.memory), cost.apply.peakBytes / 1e6);
}

/** Sums, and the highest peaks. */
function sumOf(costs: readonly PairCost[]): PairCost {
  const sum = (of: (cost: PairCost) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  const sumCost = (of: (cost: PairCost) => Cost): Cost => ({
    cpuSeconds: sum((cost) => of(cost).cpuSeconds),
    peakBytes: Math.max(...costs.map((cost) => of(cost).peakBytes)),
    sizeBytes: sum((cost) => of(cost).sizeBytes),
  });
  return {
    layerBytes: sum(({ layerBytes }) => layerBytes),
    deltaBytes: sum(({ deltaBytes }) => deltaBytes),
    tarBytes: sum(({ tarBytes }) => tarBytes),
    make: sumCost(({ make }) => make),
    apply: sumCost(({ apply }) => apply),
  };
}
