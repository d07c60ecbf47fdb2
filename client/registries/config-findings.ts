import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Mistake } from "./config-mistakes.ts";

/** What is found besides values: mistakes that only the file system or the environment shows, and warnings. */
export class Findings {
  readonly mistakes: Mistake[] = [];
  readonly warnings: string[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  mistake(path: readonly PropertyKey[], message: string): void {
    this.mistakes.push({ path, message });
  }

  /** The absolute path of a file that has to be readable. */
  readable(path: readonly PropertyKey[], named: string): string {
    const file = resolve(dirname(this.#file), named);
    try {
      accessSync(file, constants.R_OK);
      if (!statSync(file).isFile()) this.mistake(path, "this is not a file");
    } catch (err: unknown) {
      // Not quoted: it may be the password itself, written into the wrong line.
      const { code } = err as NodeJS.ErrnoException;
      this.mistake(path, `this file cannot be read (${code}; it is looked for from ${dirname(resolve(this.#file))})`);
    }
    return file;
  }

  warnIf(file: string, mode: number, danger: string): void {
    if ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & mode) this.warnings.push(`${file} ${danger}`);
  }

  /** Who can change the file can have passwords sent elsewhere. */
  checkConfigFile(hasLogins: boolean): void {
    this.warnIf(this.#file, 0o002, "can be changed by everyone on this machine: chmod o-w");
    if (hasLogins)
      this.warnIf(this.#file, 0o004, "names logins and can be read by everyone on this machine: chmod o-r");
  }
}
