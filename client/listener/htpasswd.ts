/**
 * Files of logins as `htpasswd -B` writes them, and the comparison of passwords with what is in them: one at a time, in
 * a thread of its own.
 */
import { Worker } from "node:worker_threads";
import type { Compared, Comparison } from "./bcrypt-worker.ts";
import { ListenerFileError } from "./watched-file.ts";

/** User names with their bcrypt hashes. */
export type Logins = ReadonlyMap<string, string>;

const bcryptHash = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const minCost = 4;
/** More takes seconds of CPU per login. */
const maxCost = 15;

/** The logins in the text of `file`. @throws ListenerFileError that names the line. */
export function parseHtpasswd(text: string, file: string): Logins {
  const logins = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/\r$/, "").trimEnd();
    if (line === "" || line.startsWith("#")) continue;
    const [user, hash] = parseLine(line, (problem) => {
      throw new ListenerFileError(`htpasswd ${file} line ${index + 1}: ${problem}`);
    });
    if (logins.has(user)) throw new ListenerFileError(`htpasswd ${file} line ${index + 1}: this user was there before`);
    logins.set(user, hash);
  }
  return logins;
}

// What is wrong is said without the line itself: it may hold a password.
function parseLine(line: string, refuse: (problem: string) => never): [user: string, hash: string] {
  const colon = line.indexOf(":");
  if (colon < 1) return refuse("it is not USER:HASH");
  const [user, hash] = [line.slice(0, colon), line.slice(colon + 1)];
  const cost = Number(bcryptHash.exec(hash)?.[1]);
  if (Number.isNaN(cost)) return refuse(`${formOf(hash)}, only bcrypt is taken (htpasswd -B)`);
  if (cost < minCost || cost > maxCost) return refuse(`the cost is ${cost}, not ${minCost} to ${maxCost}`);
  return [user, hash];
}

function formOf(hash: string): string {
  if (hash.startsWith("$apr1$")) return "the hash is MD5 (apr1)";
  if (hash.startsWith("{SHA}")) return "the hash is SHA-1";
  if (hash.startsWith("$5$") || hash.startsWith("$6$")) return "the hash is SHA-2 crypt";
  return hash.startsWith("$2") ? "the bcrypt hash is damaged" : "the hash is of another form";
}

/** The highest cost, at which unknown users are checked too, so that they take no less time than known ones. */
export function costOf(logins: Logins): number {
  const costs = [...logins.values()].map((hash) => Number(bcryptHash.exec(hash)?.[1]));
  return Math.max(minCost, ...costs);
}

/** Compares passwords; a flood of them costs one core at most. */
export interface PasswordCheck {
  /** Comparisons that have not ended. */
  readonly pending: number;
  /** @throws Error when the thread failed or was closed. */
  compare(password: string, hash: string): Promise<boolean>;
  close(): Promise<void>;
}

/** The thread starts with the first comparison and, idle, keeps no process alive. */
export function createPasswordCheck(): PasswordCheck {
  const waiting = new Map<number, PromiseWithResolvers<boolean>>();
  let worker: Worker | undefined;
  let nextId = 0;
  let isClosed = false;

  const start = (): Worker => {
    const started = new Worker(new URL("./bcrypt-worker.ts", import.meta.url), { execArgv: [], env: {} });
    started.on("message", ({ id, isEqual }: Compared) => {
      waiting.get(id)?.resolve(isEqual);
      waiting.delete(id);
      if (waiting.size === 0) started.unref();
    });
    const onEnd = (reason: unknown) => {
      if (worker !== started) return;
      worker = undefined;
      for (const { reject } of waiting.values())
        reject(new Error("the thread that compares passwords ended", { cause: reason }));
      waiting.clear();
    };
    started.on("error", onEnd);
    started.on("exit", onEnd);
    return started;
  };

  return {
    get pending() {
      return waiting.size;
    },
    async compare(password, hash) {
      if (isClosed) throw new Error("passwords are no longer compared");
      const id = nextId++;
      const answer = Promise.withResolvers<boolean>();
      waiting.set(id, answer);
      worker ??= start();
      worker.ref();
      worker.postMessage({ id, password, hash } satisfies Comparison);
      return answer.promise;
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
    },
  };
}
