/**
 * Files that are either the old or the new one, whatever happens in between.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";

/**
 * Write `path` by temporary file, fsync and rename; one call per path at a time.
 *
 * @throws the file system's error; the old file then stays.
 */
export async function writeFileAtomic(path: string, content: string, mode: number): Promise<void> {
  const temporary = temporaryOf(path);
  try {
    await using file = await open(temporary, "w", mode);
    await file.writeFile(content);
    await file.sync();
  } catch (err: unknown) {
    await rm(temporary, { force: true });
    throw err;
  }
  await rename(temporary, path);
}

/** The same where nothing else is to happen meanwhile: while a program starts or is about to end. */
export function writeFileAtomicSync(path: string, content: string, mode: number): void {
  const temporary = temporaryOf(path);
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

function temporaryOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}
