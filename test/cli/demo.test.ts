import { readdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type RunningProcess, startProcess } from "#test/support/process.ts";
import { checkout } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

const patience = { timeout: 60_000 };

/** Start the demo, and end it with a signal as soon as it is `ready`. */
async function expectNothingLeft(ready: (program: RunningProcess, temporary: string) => boolean): Promise<void> {
  await using cwd = await makeTemporaryFolder();
  await using temporary = await makeTemporaryFolder();
  await using logs = await makeTemporaryFolder();
  const demo = await startProcess({
    command: process.execPath,
    args: [join(checkout, "cli/demo.ts")],
    cwd: cwd.path,
    env: { TMPDIR: temporary.path },
    logFile: join(logs.path, "demo.log"),
    ready: (program) => ready(program, temporary.path),
    readyTimeoutMs: 50_000,
  });
  await demo.stop();
  expect(demo.exit).toBe(0);
  expect([await readdir(cwd.path), await readdir(temporary.path)]).toEqual([[], []]);
}

describe("the demo leaves nothing behind, neither where it was started nor among temporary files,", () => {
  test("when it is ended after the pull", patience, () =>
    expectNothingLeft((program) => program.log().includes("All digests are right")),
  );

  test("when it is ended while it still begins", patience, () =>
    expectNothingLeft((_, temporary) => readdirSync(temporary).length > 0),
  );
});
