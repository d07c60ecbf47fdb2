/**
 * "load": many blobs, many pullers, fast and slow ones at once.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { startLoadRig } from "./load/rig.ts";
import { noteFailures, type Row } from "./load/row.ts";
import { loadRows } from "./load/rows.ts";
import { type Context, collect, type Note, type Scenario } from "./scenario.ts";

/** Once, whatever the number of rounds; each row with processes of its own, after three blobs that warm them up. */
export const load: Scenario = {
  name: "load",
  title: "load: many blobs at once",
  async run(context) {
    const wanted = context.rows?.map(rowAt) ?? loadRows;
    const figures = await collect(async (note) => {
      for (const row of wanted) await measure(row, context, note);
    });
    return { figures };
  },
};

function rowAt(index: number): Row {
  const row = loadRows[index];
  if (row !== undefined) return row;
  const known = loadRows.map(({ name }, position) => `${position}: ${name}`).join("\n");
  throw new Error(`no row ${index}; there are\n${known}`);
}

/** One that breaks off is a failure of this row, and the others have their turn. */
async function measure(row: Row, context: Context, noteAny: Note): Promise<void> {
  const note: Note = (quantity, value) =>
    noteAny({ ...quantity, row: row.name, name: `${row.name}: ${quantity.name}` }, value);
  const progress = (line: string) => context.progress(`${row.name}: ${line}`);
  const folder = join(context.folder, "row");
  await mkdir(folder);
  try {
    await using owned = new AsyncDisposableStack();
    const rig = await startLoadRig({ folder, checkout: context.checkout }, row.way, owned);
    await row.measure({ load: rig, note, progress });
  } catch (err: unknown) {
    noteFailures({ note, progress }, [String((err as Error).stack)]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
