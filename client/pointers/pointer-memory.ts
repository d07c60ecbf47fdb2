/**
 * The newest word on each pointer, by the key that signed it: what a cache replays is found out by it, also after a
 * restart. A database beside the cache, or in memory where there is none.
 */
import { closeSync, openSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Logger } from "pino";
import type { Name } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";

/** What a key has said last about what a pointer points at. */
export interface LastWord {
  /** By the server's clock, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Undefined when it is not there. */
  readonly digest: Digest | undefined;
}

/** Pointers and keys; those that have not changed for longest go first. */
const maxRemembered = 50_000;
/** Looked at after so many changes. */
const changesPerSweep = 1_000;

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS last_words (
    pointer BLOB NOT NULL, key BLOB NOT NULL, time_ms INTEGER NOT NULL, digest TEXT, seen_ms INTEGER NOT NULL,
    PRIMARY KEY (pointer, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS by_age ON last_words (seen_ms);
`;

/** Shared by all registries: names begin with their prefix. */
export class PointerMemory {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #set: StatementSync;
  readonly #sweep: StatementSync;
  readonly #log: Pick<Logger, "warn">;
  #changes = 0;
  #isFailing = false;

  /** Open or make `file`; one that cannot be used is a warning, and nothing outlives the process then. */
  static open(file: string | undefined, log: Pick<Logger, "warn">, max = maxRemembered): PointerMemory {
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite"); // loaded only where it is used
    if (file === undefined) return new PointerMemory(new DatabaseSync(":memory:"), log, max);
    try {
      closeSync(openSync(file, "a", 0o600)); // before SQLite makes it readable for others
      return new PointerMemory(new DatabaseSync(file), log, max);
    } catch (err: unknown) {
      log.warn({ err, file }, "the times of tags cannot be kept: after a restart a replayed one is not noticed");
      return new PointerMemory(new DatabaseSync(":memory:"), log, max);
    }
  }

  private constructor(database: DatabaseSync, log: Pick<Logger, "warn">, max: number) {
    this.#database = database;
    this.#log = log;
    database.exec(schema);
    this.#get = database.prepare("SELECT time_ms AS timeMs, digest FROM last_words WHERE pointer = ? AND key = ?");
    this.#set = database.prepare(
      "INSERT INTO last_words VALUES (?, ?, ?, ?, ?) ON CONFLICT (pointer, key) DO UPDATE SET time_ms = excluded.time_ms, digest = excluded.digest, seen_ms = excluded.seen_ms",
    );
    this.#sweep = database.prepare(
      `DELETE FROM last_words WHERE (pointer, key) IN (SELECT pointer, key FROM last_words ORDER BY seen_ms DESC LIMIT -1 OFFSET ${max})`,
    );
  }

  get(pointer: Name, key: Name): LastWord | undefined {
    const row = this.#get.get(pointer, key) as { timeMs: number; digest: Digest | null } | undefined;
    return row && { timeMs: row.timeMs, digest: row.digest ?? undefined };
  }

  /** Never throws: a disk that is full costs the memory of this change. */
  set(pointer: Name, key: Name, { timeMs, digest }: LastWord): void {
    try {
      this.#set.run(pointer, key, timeMs, digest ?? null, Date.now());
      if (++this.#changes % changesPerSweep === 0) this.#sweep.run();
      this.#isFailing = false;
    } catch (err: unknown) {
      if (!this.#isFailing) this.#log.warn({ err }, "the time of a tag cannot be kept");
      this.#isFailing = true;
    }
  }

  close(): void {
    this.#database.close();
  }
}
