import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startProcess } from "#test/support/process.ts";
import { checkout } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

test("the demo leaves nothing behind, neither where it was started nor among temporary files", {
  timeout: 60_000,
}, async () => {
  await using cwd = await makeTemporaryFolder();
  await using temporary = await makeTemporaryFolder();
  await using logs = await makeTemporaryFolder();
  const demo = await startProcess({
    command: process.execPath,
    args: [join(checkout, "cli/demo.ts")],
    cwd: cwd.path,
    env: { TMPDIR: temporary.path },
    logFile: join(logs.path, "demo.log"),
    ready: (program) => program.log().includes("All digests are right"),
    readyTimeoutMs: 50_000,
  });
  await demo.stop();
  expect(demo.exit).toBe(0);
  expect([await readdir(cwd.path), await readdir(temporary.path)]).toEqual([[], []]);
});
