/**
 * The text of the file of grants: a first line with its version, then `+<puller><place> <size or ->` for each grant and
 * `-<puller><place>` for each that was taken back.
 */

/** One line. */
export interface JournalEntry {
  readonly puller: string;
  readonly place: string;
  readonly sizeBytes: number | undefined;
  readonly isRemoved: boolean;
}

/** The first line. */
export const journalHead = "ndn-registry grants 1\n";

const idLength = 22;
const line = /^(?:\+([\w-]{44}) (\d{1,16}|-)|-([\w-]{44}))$/;

/** One entry, with its end of line. */
export function formatEntry({ puller, place, sizeBytes, isRemoved }: JournalEntry): string {
  if (isRemoved) return `-${puller}${place}\n`;
  // A size is what an upstream said: what could not be read back is left out.
  return `+${puller}${place} ${Number.isSafeInteger(sizeBytes) ? sizeBytes : "-"}\n`;
}

/**
 * All entries; undefined when the text is damaged. A last line that was broken off by a crash is left out, and the file
 * is then not whole.
 */
export function parseJournal(text: string): { entries: JournalEntry[]; isWhole: boolean } | undefined {
  if (!text.startsWith(journalHead)) return undefined;
  const lines = text.slice(journalHead.length).split("\n");
  const isWhole = lines.pop() === "";
  const entries: JournalEntry[] = [];
  for (const text of lines) {
    const match = line.exec(text);
    if (!match) return undefined;
    const ids = match[1] ?? match[3]!;
    const sizeBytes = match[2] === undefined || match[2] === "-" ? undefined : Number(match[2]);
    const [puller, place] = [ids.slice(0, idLength), ids.slice(idLength)];
    entries.push({ puller, place, sizeBytes, isRemoved: match[3] !== undefined });
  }
  return { entries, isWhole };
}
