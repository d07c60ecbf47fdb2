/**
 * `npm run bench -- --against DIR`: this checkout and another one, measured in turn by the code of this one.
 */

import { median, rounded } from "./report.ts";
import type { Context, Figure, Result, Scenario } from "./scenario.ts";

/** Scenarios whose figures say how fast our own programs are. */
export const comparable: readonly string[] = ["transfer", "first-byte", "many", "warm"];

/** Rounds that are enough for {@link isWorse} to tell a change from a slow moment of the machine. */
export const comparableRounds = 12;

/** Both medians of one row, and what the rounds say. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly theirs: number;
  readonly ours: number;
  /** Median of each round's ratio, this checkout's to the other's; above 1 this one is better. */
  readonly ratio: number;
  /** Rounds in which this checkout is worse. */
  readonly worseRounds: number;
  readonly rounds: number;
}

/** Two checkouts' turns. Each measures once in a round, the one that was last in the round before first. */
export class Turns {
  readonly #ends: PromiseWithResolvers<void>[] = [];
  #failure: { readonly err: unknown } | undefined;

  /** Measure when all turns before this one are over. Rejects when one of them has failed. */
  async take(side: 0 | 1, roundIndex: number, measure: () => Promise<void>): Promise<void> {
    const turn = 2 * roundIndex + (roundIndex % 2 === 0 ? side : 1 - side);
    try {
      if (turn > 0) await this.#endOf(turn - 1).promise;
      await measure();
      this.#endOf(turn).resolve();
    } catch (err: unknown) {
      this.#endOf(turn).reject(err);
      throw err;
    }
  }

  /** A side broke off between its turns: the other must not wait for it. */
  fail(err: unknown): void {
    this.#failure = { err };
    for (const end of Object.values(this.#ends)) end.reject(err); // there are holes
  }

  #endOf(turn: number): PromiseWithResolvers<void> {
    const known = this.#ends[turn];
    if (known !== undefined) return known;
    const end = Promise.withResolvers<void>();
    end.promise.catch(() => undefined); // is reported by the side that failed
    if (this.#failure !== undefined) end.reject(this.#failure.err);
    this.#ends[turn] = end;
    return end;
  }
}

/** Run a scenario for both checkouts at once, taking turns. `folders` and `checkouts` are the other's and this one's. */
export async function runBoth(
  scenario: Scenario,
  context: Omit<Context, "folder">,
  folders: readonly [string, string],
  checkouts: readonly [string, string],
): Promise<[theirs: Result, ours: Result]> {
  const turns = new Turns();
  const run = async (side: 0 | 1) => {
    try {
      return await scenario.run({
        ...context,
        folder: folders[side],
        checkout: checkouts[side],
        inTurn: (roundIndex, measure) => turns.take(side, roundIndex, measure),
        progress: (line) => context.progress(`${side === 0 ? "the other" : "this one"}: ${line}`),
      });
    } catch (err: unknown) {
      turns.fail(err);
      throw err;
    }
  };
  const both = await Promise.allSettled([run(0), run(1)]); // each has stopped what it started
  const [theirs, ours] = both.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
  return [theirs!, ours!];
}

/** The rows of our own programs, side by side. */
export function compare(theirs: readonly Figure[], ours: readonly Figure[]): Comparison[] {
  return ours
    .filter(({ isOurs }) => isOurs)
    .map((figure) => compareRow(theirs.find(({ name }) => name === figure.name)!, figure));
}

function compareRow(theirs: Figure, { name, unit, values }: Figure): Comparison {
  const isLessBetter = unit === "ms";
  const ratios = values.map((value, index) => {
    const other = theirs.values[index]!;
    return isLessBetter ? other / value : value / other;
  });
  return {
    name,
    unit,
    theirs: median(theirs.values),
    ours: median(values),
    ratio: median(ratios),
    worseRounds: ratios.filter((ratio) => ratio < 1).length,
    rounds: ratios.length,
  };
}

/** Whether a row became worse: clearly so in the middle, and in three rounds of four at all. */
export function isWorse({ ratio, worseRounds, rounds }: Comparison): boolean {
  return ratio < 0.95 && worseRounds >= Math.ceil((3 / 4) * rounds);
}

/** Print the table. */
export function printComparison(title: string, comparisons: readonly Comparison[]): void {
  console.log(`\n${title}: the other checkout and this one`);
  console.table(
    Object.fromEntries(
      comparisons.map((row) => [
        row.name,
        {
          other: rounded(row.theirs),
          this: rounded(row.ours),
          unit: row.unit,
          "this : other": rounded(row.ratio),
          "worse in": `${row.worseRounds} of ${row.rounds}`,
          verdict: isWorse(row) ? "WORSE" : "",
        },
      ]),
    ),
  );
}
