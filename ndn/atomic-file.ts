/**
 * Files that are either the old or the new one, whatever happens in between.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** Write `path` by temporary file, fsync and rename. @throws the file system's error; the old file then stays. */
export function writeFileAtomicSync(path: string, content: string, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, "w", mode);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } catch (err: unknown) {
    rmSync(temporary, { force: true });
    throw err;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
