/**
 * Files of logins as `htpasswd -B` writes them.
 */
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
