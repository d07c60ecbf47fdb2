/**
 * What the rows of "links" have in common.
 */
import type { RigPlace } from "../rig.ts";
import type { Note } from "../scenario.ts";
import type { LinkPlace } from "./rig.ts";

/** One line of the table. */
export interface Row {
  readonly name: string;
  measure(round: RowRound): Promise<void>;
}

/** What it is measured with. */
export interface RowRound {
  readonly place: RigPlace;
  /** Ends the row's processes. */
  readonly owned: AsyncDisposableStack;
  /** Size of a blob, instead of the link's own. */
  readonly sizeBytes: number | undefined;
  /** After so long a blob is left as it is. */
  readonly maxSeconds: number;
  /** Bits of payload per second that the same programs move on a link without limits; measured when first asked for. */
  readonly unlimited: (place: LinkPlace) => Promise<number>;
  readonly note: Note;
  /** Say on stderr how far it is. */
  readonly progress: (line: string) => void;
}
