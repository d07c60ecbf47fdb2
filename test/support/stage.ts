import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { tailsOfRunning } from "./process.ts";
import { makeTemporaryFolder } from "./tmp.ts";

/** What a test file sets up once: a temporary folder, and programs that are stopped in reverse order at the end. */
export interface Stage {
  /** Path of the file's temporary folder; there from the first hook on. */
  readonly folder: string;
  /** Make a folder in it that no other try of the same test has. */
  newFolder(name: string): Promise<string>;
  /** Have something stopped at the end. */
  own<T extends AsyncDisposable>(thing: T): T;
}

/** Set up the stage of this test file; when a test fails, the ends of the running programs' logs are shown. */
export function useStage(): Stage {
  const owned = new AsyncDisposableStack();
  let folder: string | undefined;
  beforeAll(async () => {
    folder = owned.use(await makeTemporaryFolder()).path;
  });
  afterEach(({ task }) => {
    if (task.result?.state === "fail") console.error(tailsOfRunning());
  });
  afterAll(() => owned.disposeAsync());
  return {
    get folder() {
      if (folder === undefined) throw new Error("the temporary folder is made in beforeAll");
      return folder;
    },
    newFolder(name) {
      return mkdtemp(join(this.folder, `${name}-`));
    },
    own: (thing) => owned.use(thing),
  };
}
