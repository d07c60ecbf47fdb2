/**
 * Files that are either the old or the new one, whatever happens in between.
 */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

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

/**
 * Remove what processes have left that were killed while they wrote `path`. One that is still at it fails, with the old
 * file in place. @throws the file system's error
 */
export function removeLeftovers(path: string): void {
  const start = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    const isLeft = name.startsWith(start) && /^\d+\.tmp$/.test(name.slice(start.length));
    if (isLeft) rmSync(join(dirname(path), name), { force: true });
  }
}

function temporaryOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}
