/**
 * Where the real programs are that tests talk to: an environment variable, PATH, what `.ci/run` built, in this order.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's own folder. */
export const checkout: string = fileURLToPath(new URL("../..", import.meta.url));

const builtHere = join(checkout, ".ci/bin");

/** The environment variable that names a program's path: `docker-registry` has `DOCKER_REGISTRY`. */
export function variableOf(program: string): string {
  return program.toUpperCase().replaceAll("-", "_");
}

/** Path of a program; undefined when this machine does not have it. */
export function findProgram(program: string): string | undefined {
  const named = process.env[variableOf(program)];
  if (named !== undefined && named !== "") return isExecutable(named) ? named : undefined;
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...systemFolders, builtHere];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

/** Path of a program that has to be there. */
export function programPath(program: string): string {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`${program} is not installed (or set ${variableOf(program)} to its path)`);
  return path;
}

/** Those of the programs that this machine does not have; `root` stands for running as root. */
export function missingPrograms(programs: readonly string[]): string[] {
  return programs.filter((program) =>
    program === "root" ? process.getuid?.() !== 0 : findProgram(program) === undefined,
  );
}

/** Debian keeps daemons where an ordinary user's PATH does not look. */
const systemFolders = ["/usr/sbin", "/sbin"];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not for us: either way the next folder may have it
  }
}
