import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { testEnvironment } from "#test/support/environment.ts";
import { checkout } from "#test/support/programs.ts";

/** Lines of a log in this form. */
async function linesOf(logFormat: "pretty" | "json"): Promise<string[]> {
  const logger = pathToFileURL(join(checkout, "cli/logger.ts")).href;
  const script = `import { createLogger } from "${logger}";
    const log = createLogger({ logLevel: "info", logFormat: "${logFormat}" });
    log.info({ digest: "sha256:1", bytes: { ndn: 1, store: 2 }, failures: ["ndn: two\\nlines"] }, "blob served");
    log.warn({ bytes: {} }, "blob broken off");`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    env: testEnvironment({ TZ: "Asia/Kolkata" }),
    stdio: ["ignore", "ignore", "pipe"],
  });
  return (await text(child.stderr)).trimEnd().split("\n");
}

test("for machines each message is a line of JSON with the level's name and the time by ISO 8601", async () => {
  const lines = (await linesOf("json")).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    { level: "info", msg: "blob served", bytes: { ndn: 1, store: 2 } },
    { level: "warn", msg: "blob broken off" },
  ]);
  for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("on a terminal too each message is one line, with level, time and all its fields", async () => {
  const lines = await linesOf("pretty");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30\] .*INFO.*: .*blob served/);
  expect(lines[0]).toContain('"bytes":{"ndn":1,"store":2},"failures":["ndn: two\\nlines"]');
  expect(lines[1]).toMatch(/WARN.*: .*blob broken off/);
});
