/**
 * "links": how much of a link a client fills, whatever the link: long, fat, thin, lossy.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { cross } from "./links/cross.ts";
import { benchLinks } from "./links/link.ts";
import { rateOf } from "./links/notes.ts";
import type { LinkPlace } from "./links/rig.ts";
import type { Row, RowRound } from "./links/row.ts";
import { linkRows } from "./links/rows.ts";
import { noteFailures } from "./load/row.ts";
import { type Context, collect, type Note, type Scenario } from "./scenario.ts";

/** Once, whatever the number of rounds; each row with processes of its own that have done nothing before. */
export const links: Scenario = {
  name: "links",
  title: "links: share of a link's payload rate",
  async run(context) {
    const wanted = context.rows?.map(rowAt) ?? linkRows;
    const unlimited = rememberUnlimited(context);
    const figures = await collect(async (note) => {
      for (const row of wanted) await measure(row, context, unlimited, note);
    });
    return { figures };
  },
};

function rowAt(index: number): Row {
  const row = linkRows[index];
  if (row !== undefined) return row;
  const known = linkRows.map(({ name }, position) => `${position}: ${name}`).join("\n");
  throw new Error(`no row ${index}; there are\n${known}`);
}

type Unlimited = RowRound["unlimited"];

/** What the programs do on a link without limits, measured when a row asks for it first. */
function rememberUnlimited(context: Context): Unlimited {
  const known = new Map<LinkPlace, number>();
  const round = {
    note: () => undefined,
    progress: (line: string) => context.progress(line),
    unlimited: () => Promise.reject(new Error("is being measured")),
  };
  return async (place) => {
    if (known.has(place)) return known.get(place)!;
    const { sizeBytes } = benchLinks[0]!;
    const ways = { up: {}, down: {} };
    const rate = await inFolder(context, round, async (own) => rateOf(await cross({ place, ways, sizeBytes }, own)));
    known.set(place, rate);
    context.progress(`no limits, ${place}: ${(rate / 8e6).toFixed(0)} MB/s`);
    return rate;
  };
}

/** One that breaks off is a failure of this row, and the others have their turn. */
async function measure(row: Row, context: Context, unlimited: Unlimited, noteAny: Note): Promise<void> {
  const note: Note = (quantity, value) =>
    noteAny({ ...quantity, row: row.name, name: `${row.name}: ${quantity.name}` }, value);
  const progress = (line: string) => context.progress(`${row.name}: ${line}`);
  try {
    await inFolder(context, { note, progress, unlimited }, (round) => row.measure(round));
  } catch (err: unknown) {
    noteFailures({ note, progress }, [String((err as Error).stack)]);
  }
}

let folders = 0;

/** Work with processes and a folder that are gone afterwards. */
async function inFolder<T>(
  { folder, checkout, sizeBytes, seconds }: Context,
  round: Pick<RowRound, "note" | "progress" | "unlimited">,
  work: (round: RowRound) => Promise<T>,
): Promise<T> {
  const own = join(folder, String(folders++));
  await mkdir(own);
  try {
    await using owned = new AsyncDisposableStack();
    return await work({ ...round, place: { folder: own, checkout }, owned, sizeBytes, maxSeconds: seconds });
  } finally {
    await rm(own, { recursive: true });
  }
}
