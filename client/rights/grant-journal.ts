/**
 * Grants on disk: a line for each that was given or taken back, appended in batches and rewritten when most of the
 * lines are of no use any more. The first line has its version; then `+<puller><thing> <size or ->` for each grant and
 * `-<puller><thing>` for each that was taken back.
 */
import { randomBytes } from "node:crypto";
import { constants, mkdirSync, readFileSync, statSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "pino";
import { writeFileAtomic, writeFileAtomicSync } from "#base/atomic-file.ts";

/** One line of the file. */
export interface JournalEntry {
  readonly puller: string;
  readonly thing: string;
  readonly sizeBytes: number | undefined;
  readonly isRemoved: boolean;
}

/** An open journal. */
export interface GrantJournal {
  /** The key under which its lines were made. */
  readonly secret: Buffer;
  /** What the file held when it was opened, in order. */
  read(): readonly JournalEntry[];
  /** Called once, before anything is written: where a rewrite of the file takes its lines from. */
  begin(grants: Remembered): void;
  append(entry: JournalEntry): void;
  /** Write what is waiting. */
  close(): Promise<void>;
}

/** What is remembered now. */
export interface Remembered {
  readonly size: number;
  /** Oldest first. */
  all(): Iterable<Omit<JournalEntry, "isRemoved">>;
}

type Warn = Pick<Logger, "warn"> | undefined;

const mode = 0o600;
const maxFileBytes = 64 * 1024 * 1024;
const debounceMs = 1_000;
/** Lines beside those that are needed before a rewrite is worth it. */
const spareLines = 1_000;

/** Open or make `file` and `<file>.key`; undefined, with a warning, when they cannot be used. */
export function openGrantJournal(file: string, log: Warn): GrantJournal | undefined {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const { secret, isNew } = openSecret(`${file}.key`);
    return new FileJournal(file, secret, isNew ? lost(file, log) : entriesOf(file, log), log);
  } catch (err: unknown) {
    log?.warn({ err, file }, "rights cannot be remembered across restarts");
    return undefined;
  }
}

interface Content {
  readonly entries: readonly JournalEntry[];
  /** Whether the file may be appended to as it is. */
  readonly isWhole: boolean;
}
const nothing: Content = { entries: [], isWhole: false };

function lost(file: string, log: Warn): Content {
  if (statSync(file, { throwIfNoEntry: false }) !== undefined)
    log?.warn({ file }, "remembered rights are lost: their key is missing or damaged");
  return nothing;
}

function entriesOf(file: string, log: Warn): Content {
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) return nothing;
  const content = size > maxFileBytes ? undefined : parseJournal(readFileSync(file, "latin1"));
  if (!content) log?.warn({ file }, "remembered rights are lost: their file is damaged");
  return content ?? nothing;
}

class FileJournal implements GrantJournal {
  readonly secret: Buffer;
  readonly #file: string;
  readonly #log: Warn;
  #entries: readonly JournalEntry[];
  #grants: Remembered = { size: 0, all: () => [] };
  #lineCount: number;
  // Whether the file, with what is pending, says what is remembered.
  #isWhole: boolean;
  #isDirty = false;
  #pending: JournalEntry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;

  constructor(file: string, secret: Buffer, { entries, isWhole }: Content, log: Warn) {
    this.#file = file;
    this.secret = secret;
    this.#log = log;
    this.#entries = entries;
    this.#lineCount = entries.length;
    this.#isWhole = isWhole;
  }

  read(): readonly JournalEntry[] {
    return this.#entries;
  }

  begin(grants: Remembered): void {
    this.#grants = grants;
    this.#entries = [];
  }

  append(entry: JournalEntry): void {
    this.#pending.push(entry);
    this.#isDirty = true;
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#flushing;
    if (this.#isDirty) await this.#flush();
  }

  #schedule(): void {
    if (this.#timer || this.#flushing || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = undefined;
        if (this.#pending.length > 0) this.#schedule();
      });
    }, debounceMs).unref();
  }

  async #flush(): Promise<void> {
    const lines = this.#pending.map(formatEntry);
    this.#pending = [];
    this.#isDirty = false;
    const isMostlyUseless = this.#lineCount + lines.length > 2 * this.#grants.size + spareLines;
    try {
      // The file may have been removed: then all of it is written again.
      if (this.#isWhole && !isMostlyUseless) await this.#extend(lines).catch(() => this.#rewrite());
      else await this.#rewrite();
      this.#isWhole = true;
    } catch (err: unknown) {
      // Part of the lines may be there. The next attempt writes all of it.
      this.#isWhole = false;
      this.#isDirty = true;
      this.#log?.warn({ err, file: this.#file }, "remembered rights could not be written");
    }
  }

  async #extend(lines: readonly string[]): Promise<void> {
    await appendFile(this.#file, lines.join(""), { flag: constants.O_APPEND | constants.O_WRONLY, flush: true });
    this.#lineCount += lines.length;
  }

  async #rewrite(): Promise<void> {
    const lines = [...this.#grants.all()].map((grant) => formatEntry({ ...grant, isRemoved: false }));
    await writeFileAtomic(this.#file, journalHead + lines.join(""), mode, `${this.#file}.tmp`);
    this.#lineCount = lines.length;
  }
}

/** The first line. */
const journalHead = "ndn-registry grants 1\n";

const idLength = 22;
const line = /^(?:\+([\w-]{44}) (\d{1,16}|-)|-([\w-]{44}))$/;

/** One entry, with its end of line. */
function formatEntry({ puller, thing, sizeBytes, isRemoved }: JournalEntry): string {
  if (isRemoved) return `-${puller}${thing}\n`;
  // A size is what an upstream said: what could not be read back is left out.
  return `+${puller}${thing} ${Number.isSafeInteger(sizeBytes) ? sizeBytes : "-"}\n`;
}

/**
 * All entries; undefined when the text is damaged. A last line that was broken off by a crash is left out, and the file
 * is then not whole.
 */
function parseJournal(text: string): { entries: JournalEntry[]; isWhole: boolean } | undefined {
  if (!text.startsWith(journalHead)) return undefined;
  const lines = text.slice(journalHead.length).split("\n");
  const isWhole = lines.pop() === "";
  const entries: JournalEntry[] = [];
  for (const text of lines) {
    const match = line.exec(text);
    if (!match) return undefined;
    const ids = match[1] ?? match[3]!;
    const sizeBytes = match[2] === undefined || match[2] === "-" ? undefined : Number(match[2]);
    const [puller, thing] = [ids.slice(0, idLength), ids.slice(idLength)];
    entries.push({ puller, thing, sizeBytes, isRemoved: match[3] !== undefined });
  }
  return { entries, isWhole };
}

const secretBytes = 32;

/**
 * The random key in `file`, made with mode 0600 when there is none or it is damaged.
 *
 * @throws The file system's error.
 */
function openSecret(file: string): { secret: Buffer; isNew: boolean } {
  const kept = readIfThere(file);
  if (kept?.length === secretBytes) return { secret: kept, isNew: false };
  const secret = randomBytes(secretBytes);
  writeFileAtomicSync(file, secret.toString("base64url"), 0o600);
  return { secret, isNew: true };
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return Buffer.from(readFileSync(file, "latin1"), "base64url");
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw err;
  }
}
