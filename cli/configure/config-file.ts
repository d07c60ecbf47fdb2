/**
 * Configuration files of the machine that is configured: found under its root, changed in one step, and put back.
 */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { chmod, mkdir, open, readFile, realpath, rename, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { CommandError } from "../errors.ts";
import type { Beside, Entry } from "./entry.ts";

/** What is to become of one file. */
export interface Change extends Beside {
  readonly entry: Entry;
  /** Where the file is, as seen from here: below the root, symbolic links followed. */
  readonly file: string;
  /** undefined when there is no file. */
  readonly before: string | undefined;
  /** undefined when the file goes. */
  readonly after: string | undefined;
  /** What is to be noted; undefined when a note goes. */
  readonly noteAfter: string | undefined;
  /** Whether a backup is to be made. */
  readonly keeps?: boolean;
  /** Whether the backup becomes the file again. */
  readonly restores?: boolean;
}

function backupOf(file: string): string {
  return `${file}.before-ndn-registry`;
}

function noteOf(file: string): string {
  return `${file}.ndn-registry`;
}

/** What adding the entry changes. @throws CommandError */
export async function planAdd(root: string, entry: Entry): Promise<Change> {
  const found = await look(root, entry);
  return naming(found.file, () => {
    const { before, backup, note } = found;
    const after = entry.add(before, found);
    // A file that has an entry of ours is not the one from before us.
    const isForeign = before !== undefined && entry.ownFile !== true && entry.remove(before, found) === before;
    // An entry that someone else has put there is not ours to take out.
    const noteAfter = after === before && note === undefined ? undefined : entry.note;
    return { ...found, after, noteAfter, keeps: isForeign && backup === undefined };
  });
}

/** What taking the entry out changes. @throws CommandError */
export async function planRemove(root: string, entry: Entry): Promise<Change> {
  const found = await look(root, entry);
  return naming(found.file, () => {
    const { before, backup, note } = found;
    const rest = before === undefined ? undefined : entry.remove(before, found);
    const noteAfter = entry.note === undefined || entry.note === note ? undefined : note;
    if (rest === before || backup === undefined) return { ...found, after: rest, noteAfter };
    // The file has not been changed since: then it becomes what it was, to the byte.
    const restores = rest === backup || entry.add(backup, found) === before;
    return { ...found, after: restores ? backup : rest, noteAfter, restores };
  });
}

/** What an entry has against the text, with the file that it is in. */
function naming<T>(file: string, plan: () => T): T {
  try {
    return plan();
  } catch (err: unknown) {
    throw err instanceof CommandError ? new CommandError(`${file}: ${err.message}`, { cause: err }) : err;
  }
}

/** Do it, if it changes anything. @returns what was done, for people. @throws CommandError when the system does not allow it */
export async function apply(change: Change): Promise<string> {
  const { file, note, noteAfter } = change;
  try {
    // Before the entry and after it: what is in the file is always noted.
    if (noteAfter !== undefined && noteAfter !== note) await writeNote(file, noteAfter);
    const done = await changeFile(change);
    if (noteAfter === undefined && note !== undefined) await unlink(noteOf(file));
    return done;
  } catch (err: unknown) {
    throw translate(err, file);
  }
}

/** Whether there is anything to do. */
export function isPending({ before, after, note, noteAfter }: Change): boolean {
  return before !== after || note !== noteAfter;
}

async function changeFile(change: Change): Promise<string> {
  const { file, before, after } = change;
  if (after === before) return `${file} stays as it is`;
  if (change.restores) return restore(file);
  if (after === undefined) return removeFile(file, change.entry.ownFolder === true);
  return write(file, after, change);
}

async function writeNote(file: string, note: string): Promise<void> {
  await makeFolder(dirname(file));
  await replace(noteOf(file), note);
}

/** The backup has the mode and the owner of the file that it was made of. */
async function restore(file: string): Promise<string> {
  await rename(backupOf(file), file);
  return `${file} is as it was before`;
}

async function look(root: string, entry: Entry): Promise<Omit<Change, "after" | "noteAfter">> {
  const file = await locate(root, entry.path);
  try {
    const [before, backup, note] = await Promise.all([file, backupOf(file), noteOf(file)].map(readText));
    return { entry, file, before, backup, note };
  } catch (err: unknown) {
    throw translate(err, file);
  }
}

/** The file below `root`. @throws CommandError for a symbolic link that leads out of it, to another machine's files */
async function locate(root: string, path: string): Promise<string> {
  try {
    const base = await realpath(root);
    const file = await follow(join(base, path));
    if (relative(base, file).startsWith("..")) {
      throw new CommandError(`${join(root, path)} is a symbolic link to ${file}, outside ${root}; nothing is changed`);
    }
    return file;
  } catch (err: unknown) {
    throw err instanceof CommandError ? err : translate(err, root);
  }
}

/** With the symbolic links of what exists of it resolved. */
async function follow(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code !== "ENOENT") throw err;
    return join(await follow(dirname(path)), path.slice(dirname(path).length));
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(file));
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw err;
  }
}

async function write(file: string, after: string, { before, backup, keeps }: Change): Promise<string> {
  if (before === undefined) {
    await makeFolder(dirname(file));
    await replace(file, after);
    return `${file} is written`;
  }
  const like = await stat(file);
  if (keeps) await replace(backupOf(file), before, like);
  await replace(file, after, like);
  return `${file} is changed${keeps || backup !== undefined ? `; as it was before: ${backupOf(file)}` : ""}`;
}

/** With modes that let everyone read, whatever the umask of this shell is: pullers may run as other users. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await chmod(made, 0o755);
}

/** Either the whole new text is there under this name or what was there before, also after a power cut. */
async function replace(file: string, text: string, like?: Stats): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await using handle = await open(temporary, "wx", 0o600);
    await handle.writeFile(text);
    if (like) await handle.chown(like.uid, like.gid);
    await handle.chmod(like ? like.mode & 0o7777 : 0o644);
    await handle.sync();
    await rename(temporary, file);
  } catch (err: unknown) {
    await unlink(temporary).catch(() => undefined); // the first error is the one to tell
    throw err;
  }
}

async function removeFile(file: string, withFolder: boolean): Promise<string> {
  await unlink(file);
  // Not empty: then it holds something of others, and stays.
  if (withFolder) await rmdir(dirname(file)).catch(() => undefined);
  return `${file} is removed`;
}

function translate(err: unknown, file: string): Error {
  const { code, message } = err as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") {
    return new CommandError(`no permission for ${file}: run it again with sudo, or look at --print`, { cause: err });
  }
  if (code === "EROFS")
    return new CommandError(`${file} is on a read-only file system; look at --print`, { cause: err });
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
    return new CommandError(`${file} is not UTF-8 text`, { cause: err });
  return code === undefined ? (err as Error) : new CommandError(`${file}: ${message}`, { cause: err });
}
