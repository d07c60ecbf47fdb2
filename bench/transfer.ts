/**
 * "transfer": one cold blob by every path there is, this project's and others', and what the processes pay for it.
 */
import { join } from "node:path";
import { checkFile, watchUpstream } from "./download.ts";
import { type Goal, measureRounds, type Note, type Scenario, thereAndBack, timed, usualSizeBytes } from "./scenario.ts";
import { startTransferRig, type TransferRig } from "./transfer/rig.ts";
import { ourRows, type Row, rowNames, rows } from "./transfer/rows.ts";
import { startMetering } from "./usage.ts";

interface Ratio {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  readonly goal: Goal;
}

/** How many times as fast one row has to be as another. */
const ratios: readonly Ratio[] = [
  {
    name: "through ndnd : ndnd put and cat",
    of: rowNames.forwarder,
    to: rowNames.ndnd,
    goal: { needed: 0.9, aim: 1.3 },
  },
  { name: "through ndnd : NDNts", of: rowNames.forwarder, to: rowNames.ndnts, goal: { needed: 3.5, aim: 6 } },
  {
    name: "direct face : straight from the registry",
    of: rowNames.direct,
    to: rowNames.straight,
    goal: { needed: 0.5, aim: 1 },
  },
  {
    name: "direct face : pull-through cache, cold",
    of: rowNames.direct,
    to: rowNames.cache,
    goal: { needed: 0.8, aim: 1.2 },
  },
  { name: "--storage : direct face", of: rowNames.storage, to: rowNames.direct, goal: { needed: 1, aim: 1.3 } },
];

/** Each round moves a fresh blob once by every row, so that a slow moment of the machine hits all alike. */
export const transfer: Scenario = {
  name: "transfer",
  title: "transfer: one cold blob by every path",
  async run(context) {
    const wanted = context.rows?.map(rowAt) ?? (context.inTurn ? ourRows : rows);
    await using owned = new AsyncDisposableStack();
    const paths = await startTransferRig(context, owned);
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const figures = await measureRounds(context, async (note, round) => {
      const seconds = new Map<string, number>();
      for (const row of thereAndBack(wanted, round)) {
        seconds.set(row.name, await measure(row, paths, sizeBytes, note));
        context.progress(`round ${round}: ${row.name}: ${seconds.get(row.name)!.toFixed(2)} s`);
      }
      noteRatios(seconds, note);
    });
    return { sizeBytes, figures: sortByUnit(figures) };
  },
};

function rowAt(index: number): Row {
  const row = rows[index];
  if (row === undefined) throw new Error(`no row ${index}: there are 0 to ${rows.length - 1}`);
  return row;
}

async function measure(row: Row, paths: TransferRig, sizeBytes: number, note: Note): Promise<number> {
  const file = join(paths.rig.folder, "output");
  const client = row.client?.(paths);
  const upstream = client && (await watchUpstream([client]));
  const prepared = await row.prepare(paths, sizeBytes, file);
  try {
    const meter = startMetering(prepared.processes);
    const seconds = await timed(() => prepared.transfer());
    const usages = meter();
    await checkFile(file, prepared.digest);
    note({ name: row.name, unit: "MB/s", isOurs: client !== undefined }, sizeBytes / 1e6 / seconds);
    for (const { name, cpuSeconds, peakBytes } of usages) {
      note({ name: `${row.name}: CPU of ${name}`, unit: "s/GB" }, cpuSeconds / (sizeBytes / 1e9));
      if (client === undefined || !["server", "client"].includes(name)) continue;
      note({ name: `${row.name}: peak memory of ${name}`, unit: "MB resident" }, peakBytes / 1e6);
    }
    await upstream?.(note, row.name);
    return seconds;
  } finally {
    await prepared.cleanUp?.();
  }
}

function noteRatios(seconds: ReadonlyMap<string, number>, note: Note): void {
  for (const { name, of, to, goal } of ratios) {
    const [ours, theirs] = [seconds.get(of), seconds.get(to)];
    if (ours !== undefined && theirs !== undefined) note({ name, unit: "times as fast", goal }, theirs / ours);
  }
}

/** Rates together, then ratios, then costs. */
function sortByUnit<T extends { readonly unit: string }>(figures: readonly T[]): T[] {
  const order = ["MB/s", "times as fast", "s/GB", "MB resident", "MB"];
  return [...figures].sort((a, b) => order.indexOf(a.unit) - order.indexOf(b.unit));
}
