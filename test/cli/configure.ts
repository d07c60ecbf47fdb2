import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { configureOptions } from "#cli/configure/options.ts";
import { runConfigure } from "#cli/configure.ts";
import { readOptions } from "#cli/option.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

/** Flags of `ndn-registry configure`, without the program and the root. */
export type Flags = Readonly<Record<string, string | boolean | readonly string[]>>;

/** A machine's root folder to be configured. */
export interface Machine extends AsyncDisposable {
  readonly root: string;
  /** Run the verb; resolves to what it wrote. */
  configure(program: string, flags?: Flags): Promise<{ stdout: string; stderr: string }>;
  /** Text of a file; undefined when there is none. */
  read(path: string): Promise<string | undefined>;
  write(path: string, text: string): Promise<void>;
}

/** An empty machine. */
export async function makeMachine(): Promise<Machine> {
  const folder = await makeTemporaryFolder();
  const at = (path: string) => join(folder.path, path);
  return {
    root: folder.path,
    async configure(program, flags = {}) {
      const written = { stdout: "", stderr: "" };
      await runConfigure(readOptions(configureOptions, { program, root: folder.path, ...flags }, {}), {
        stdout: (text) => {
          written.stdout += text;
        },
        stderr: (text) => {
          written.stderr += text;
        },
      });
      return written;
    },
    read: (path) => readFile(at(path), "utf8").catch(() => undefined),
    async write(path, text) {
      await mkdir(dirname(at(path)), { recursive: true });
      await writeFile(at(path), text);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
