import { execFile } from "node:child_process";
import { link, mkdir, open, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { fileReader } from "#delta/random-reader.ts";
import { tarFiles } from "#delta/tar/tar-files.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { findProgram } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

const tarPath = findProgram("tar");
const long = `${"folder/".repeat(30)}${"n".repeat(90)}`;

/** Files of all kinds; the tree has a name as long as no header has room for, and one beyond ASCII. */
async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, long, ".."), { recursive: true });
  await writeFile(join(root, long), "long");
  await writeFile(join(root, "ä"), "umlaut");
  await writeFile(join(root, "empty"), "");
  await link(join(root, long), join(root, "hard"));
  await symlink(long, join(root, "soft"));
}

async function contentsOf(path: string): Promise<Map<string, string>> {
  await using file = await open(path);
  const bytes = await readFile(path);
  const entries = [...tarFiles(fileReader(file.fd))].map(({ name, start, end }): [string, string] => [
    Buffer.from(name, "latin1").toString(),
    bytes.toString("latin1", start, end),
  ]);
  return new Map(entries);
}

describe.skipIf(tarPath === undefined)("of a tar that the program tar wrote", () => {
  test.each(["oldgnu", "gnu", "pax", "posix"])("as %s all names and contents are found", async (format) => {
    await using folder = await makeTemporaryFolder();
    const [tree, path] = [join(folder.path, "tree"), join(folder.path, "x.tar")];
    await makeTree(tree);
    const args = ["-cf", path, "--sort=name", `--format=${format}`, "-C", tree, "."];
    await promisify(execFile)(tarPath!, args, { env: testEnvironment() });
    const contents = await contentsOf(path);
    expect(contents.get("ä")).toBe("umlaut");
    // Of two hard links the first has the content.
    expect([...contents].filter(([, content]) => content === "long").map(([name]) => name)).toEqual([long]);
    expect(contents.size).toBe(2);
  });

  test.each(["oldgnu", "gnu", "pax"])("as %s a sparse file with many holes hides no file behind it", async (format) => {
    await using folder = await makeTemporaryFolder();
    const [tree, path] = [join(folder.path, "tree"), join(folder.path, "x.tar")];
    await mkdir(tree);
    await makeHoles(join(tree, "holes"));
    await writeFile(join(tree, "z"), "behind");
    const args = ["-cSf", path, "--sort=name", `--format=${format}`, "-C", tree, "."];
    await promisify(execFile)(tarPath!, args, { env: testEnvironment() });
    const contents = await contentsOf(path);
    expect([...contents.keys()]).toEqual(["holes", "z"]);
    expect(contents.get("holes")!.length).toBeLessThan(1 << 20);
    expect(contents.get("z")).toBe("behind");
  });
});

/** 40 runs of data, more than a header has room for. */
async function makeHoles(path: string): Promise<void> {
  await using file = await open(path, "w");
  for (let at = 0; at < 40; at++) await file.write("data", at << 20);
  await truncate(path, 41 << 20);
}
