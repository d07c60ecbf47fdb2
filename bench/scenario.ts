/**
 * What all scenarios of the benchmark have in common: rounds, and figures beside what is needed of them.
 */

/** One question that the benchmark answers; it starts and stops what it needs by itself. */
export interface Scenario {
  /** As in `--only`. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  run(context: Context): Promise<Result>;
}

/** What the command line says, and where to work. */
export interface Context {
  /** An empty folder that is removed afterwards. */
  readonly folder: string;
  /** How often everything is measured, after rounds that warm up programs (not blobs: each is asked for once). */
  readonly rounds: number;
  /** Size of a blob; undefined leaves it to the scenario. */
  readonly sizeBytes: number | undefined;
  /** How long the slow reader reads, and how long a row of "links" takes at most. */
  readonly seconds: number;
  /** Positions of the rows of "transfer", "load", "links" or "udp" to measure; undefined is all. */
  readonly rows: readonly number[] | undefined;
  /** Where pairs of layers are, for "delta". */
  readonly pairs?: string;
  /** The checkout whose programs are measured. @defaultValue this one */
  readonly checkout?: string;
  /** Measures a round when it is this checkout's turn; absent where only one is measured. */
  readonly inTurn?: (roundIndex: number, measure: () => Promise<void>) => Promise<void>;
  /** Say on stderr how far it is. */
  progress(line: string): void;
}

/** The figures of one scenario. */
export interface Result {
  /** Of a blob; absent where there are several sizes. */
  readonly sizeBytes?: number;
  readonly figures: readonly Figure[];
}

/** What is measured. */
export interface Quantity {
  readonly name: string;
  /** Where several quantities share a line of the table: its name, with which `name` begins. */
  readonly row?: string;
  readonly unit: string;
  readonly goal?: Goal;
  /** Whether the values are those of moments, not of rounds: they are kept, and not in the table. @defaultValue false */
  readonly isOverTime?: boolean;
  /** Whether our own programs are what is timed, so that versions are compared by it. @defaultValue false */
  readonly isOurs?: boolean;
}

/** An aim above what is needed says that more is better, one below that less is. */
export interface Goal {
  readonly needed: number;
  readonly aim: number;
}

/** A quantity with a value of each round. */
export interface Figure extends Quantity {
  readonly values: readonly number[];
}

/** Note a value of this round. */
export type Note = (quantity: Quantity, value: number) => void;

/** Size of a blob where neither the command line nor the scenario says otherwise. */
export const usualSizeBytes = 100_000_000;

/** A program runs for months; V8 has optimised what 100 MB pass through after the third blob or so. */
const warmUpRounds = 3;

/** Run all rounds, numbered from 1; what those before them note is thrown away. */
export async function measureRounds(
  context: Context,
  measure: (note: Note, round: number) => Promise<void>,
): Promise<Figure[]> {
  const { inTurn = (_, work) => work() } = context;
  for (let round = 1 - warmUpRounds; round < 1; round++) {
    await inTurn(round + warmUpRounds - 1, () => measure(() => undefined, round));
    context.progress("warmed up");
  }
  return collect(async (note) => {
    for (let round = 1; round <= context.rounds; round++) {
      await inTurn(round + warmUpRounds - 1, () => measure(note, round));
      context.progress(`round ${round} of ${context.rounds} is done`);
    }
  });
}

/** In this order in one round and backwards in the next: what comes first, or after a certain other one, changes. */
export function thereAndBack<T>(things: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? things.toReversed() : things;
}

/** Measure each, there or back; the results are in the order of the things. */
export async function measureEach<const T extends readonly unknown[], R>(
  things: T,
  round: number,
  measure: (thing: T[number]) => Promise<R>,
): Promise<{ [K in keyof T]: R }> {
  const results = new Map<T[number], R>();
  for (const thing of thereAndBack(things, round)) results.set(thing, await measure(thing));
  return things.map((thing) => results.get(thing)) as { [K in keyof T]: R };
}

/** Gather what is noted into figures, in the order of each one's first value. */
export async function collect(measure: (note: Note) => Promise<void>): Promise<Figure[]> {
  const figures = new Map<string, Figure & { values: number[] }>();
  await measure((quantity, value) => {
    const figure = figures.get(quantity.name) ?? { ...quantity, values: [] };
    figure.values.push(value);
    figures.set(quantity.name, figure);
  });
  return [...figures.values()];
}

/** Seconds that something takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return (performance.now() - startedAtMs) / 1000;
}
