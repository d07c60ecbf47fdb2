/**
 * Files that are either the old or the new one, whatever happens in between.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** Write `path` by temporary file, fsync and rename. @throws the file system's error; the old file then stays. */
export function writeFileAtomicSync(path: string, content: string, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, "w", mode);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
