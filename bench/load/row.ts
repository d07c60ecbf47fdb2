/**
 * What the rows of "load" have in common.
 */
import type { Note } from "../scenario.ts";
import type { LoadRig, Way } from "./rig.ts";

/** One line of the table. */
export interface Row {
  readonly name: string;
  readonly way: Way;
  measure(round: RowRound): Promise<void>;
}

/** What it is measured with; all in it is its own. */
export interface RowRound {
  readonly load: LoadRig;
  readonly note: Note;
  /** Say on stderr how far it is. */
  readonly progress: (line: string) => void;
}

/** Note how many failed, and say on stderr how. */
export function noteFailures({ note, progress }: Pick<RowRound, "note" | "progress">, failures: readonly string[]) {
  note({ name: "failed", unit: "" }, failures.length);
  for (const failure of failures.slice(0, 5)) progress(`failed: ${failure}`);
  if (failures.length > 5) progress(`and ${failures.length - 5} more`);
}
