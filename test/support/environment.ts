/**
 * The environment that tests and benchmarks start programs with: their own, whatever that of the test run is. What a
 * developer has set for other purposes (`DOCKER_NDN_CACHE_SIZE`, `HTTP_PROXY`, `TZ`, logins below `HOME`) decides no test.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Environment variables; undefined takes one out. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** What every program gets, and `added`, which comes from the test alone. */
export function testEnvironment(added: Variables = {}): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return { PATH, HOME: home(), TMPDIR: tmpdir(), TZ: "UTC", LC_ALL: "C.UTF-8", ...added };
}

let made: string | undefined;

/** An empty folder of this process's own. */
function home(): string {
  if (made === undefined) process.once("exit", removeHome);
  made ??= mkdtempSync(join(tmpdir(), "ndnr-home-"));
  return made;
}

/** For vitest, which ends its workers without an exit. */
export function removeHome(): void {
  if (made !== undefined) rmSync(made, { recursive: true, force: true });
  made = undefined;
}
