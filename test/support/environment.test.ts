import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { runExecutable } from "#test/cli/executable.ts";
import { testEnvironment } from "./environment.ts";
import { startProcess } from "./process.ts";
import { checkout } from "./programs.ts";
import { run } from "./run.ts";
import { useStage } from "./stage.ts";

const stage = useStage();
afterEach(() => vi.unstubAllEnvs());

const script = "console.log(JSON.stringify(process.env))";
const foreign = {
  DOCKER_NDN_CACHE_SIZE: "0",
  DOCKER_NDN_LISEN: "x",
  HTTP_PROXY: "http://127.0.0.1:1",
  NODE_OPTIONS: "",
};

function stubForeign(): void {
  for (const [name, value] of Object.entries(foreign)) vi.stubEnv(name, value);
  vi.stubEnv("TZ", "Pacific/Chatham");
  vi.stubEnv("HOME", "/home/of/someone");
}

test("a program that a test starts has none of the variables that the tests were started with", async () => {
  stubForeign();
  const started = await startProcess({
    command: process.execPath,
    args: ["-e", `${script}; setInterval(() => {}, 1000)`],
    logFile: join(stage.folder, "env.log"),
    env: { OWN: "1" },
    ready: (program) => program.log().endsWith("\n"),
  });
  await started.stop();
  const { stdout } = await run(process.execPath, ["-e", script], { env: { OWN: "1" } });
  for (const text of [started.log(), stdout]) {
    const env = JSON.parse(text) as Record<string, string>;
    expect(env).toMatchObject({ OWN: "1", TZ: "UTC", LC_ALL: "C.UTF-8", PATH: process.env.PATH });
    expect(Object.keys(env)).not.toEqual(expect.arrayContaining(Object.keys(foreign)));
    expect(readdirSync(env.HOME!)).toEqual([]);
  }
});

test("our own program says nothing of variables that the tests were started with", async () => {
  stubForeign();
  const { status, stdout, stderr } = await runExecutable(["cache", "--help"], { cwd: stage.folder });
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("Commands:");
});

test("a variable that a test takes out is not there", () => {
  expect(testEnvironment({ TZ: undefined }).TZ).toBeUndefined();
});

test("every file that starts programs gives them this environment", () => {
  const files = ["test", "bench"].flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: "utf8" }).map((file) =>
      join(checkout, folder, file),
    ),
  );
  const starts = files.filter(
    (file) =>
      file.endsWith(".ts") &&
      /^import \{ [^;]*\b(spawn|fork|exec|chromium)[^;]* from "(node:child_process|playwright-core)"/m.test(
        textOf(file),
      ),
  );
  expect(starts.length).toBeGreaterThan(5);
  expect(starts.filter((file) => !/\btestEnvironment\(/.test(textOf(file)))).toEqual([]);
});

function textOf(file: string): string {
  return readFileSync(file, "utf8");
}
