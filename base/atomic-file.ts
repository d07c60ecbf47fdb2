/**
 * Files that are either the old or the new one, whatever happens in between.
 */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "./errors.ts";

/**
 * Write `path` by temporary file, fsync and rename; one call per path at a time.
 *
 * @param temporary - Beside it. By default of this process alone, which may be killed (`removeLeftovers`).
 * @throws the file system's error; the old file then stays.
 */
export async function writeFileAtomic(
  path: string,
  content: string,
  mode: number,
  temporary = temporaryOf(path),
): Promise<void> {
  try {
    await writeSynced(temporary, content, mode);
    await rename(temporary, path);
  } catch (err: unknown) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one that counts
    throw err;
  }
}

async function writeSynced(path: string, content: string, mode: number): Promise<void> {
  await using file = await open(path, "w", mode);
  await file.writeFile(content);
  await file.sync();
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

/** Remove what processes of this machine have left that were killed while they wrote `path`. @throws the file system's error */
export function removeLeftovers(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    const [pid] = /(?<=^\.)\d+(?=\.tmp$)/.exec(name.slice(basename(path).length)) ?? [];
    if (!name.startsWith(basename(path)) || pid === undefined || isAlive(Number(pid))) continue;
    rmSync(join(dirname(path), name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (err: unknown) {
    return errorCode(err) === "EPERM"; // a process of another user
  }
}

function temporaryOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}
