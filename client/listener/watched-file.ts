/**
 * Files that an operator may replace while the program runs.
 */
import { readFileSync, statSync } from "node:fs";

/** A file of the listener that cannot be used; the message names the file and what is wrong with it. */
export class ListenerFileError extends Error {
  override readonly name = "ListenerFileError";
}

/** The text of a file. @throws ListenerFileError that says what `what` is for and why it cannot be read. */
export function readText(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (err: unknown) {
    const { code, message } = err as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EACCES: "no permission to read it",
      EISDIR: "it is a directory",
    };
    throw new ListenerFileError(`${what} ${file}: ${reasons[code ?? ""] ?? message}`, { cause: err });
  }
}

/** A text that is another one when the file is: from its time, size and inode; links are followed. */
export function versionOf(file: string): string {
  try {
    const { mtimeNs, size, ino } = statSync(file, { bigint: true });
    return `${mtimeNs} ${size} ${ino}`;
  } catch (err: unknown) {
    return (err as NodeJS.ErrnoException).code ?? "unreadable";
  }
}
