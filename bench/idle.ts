/**
 * `npm run idle`: what the programs cost before they do anything, medians of five. Start it on a quiet machine.
 *
 *     npm run idle -- --seconds 10
 *
 * A client and a server with one TCP uplink, no anchor and default options are left alone for so long (60 s unless
 * said); then `--help`, and `start` until it listens. A run that is not counted comes first: it fills the compile cache.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { freePort } from "#test/support/free-port.ts";
import { startProcess } from "#test/support/process.ts";
import { checkout } from "#test/support/programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { median, rounded } from "./report.ts";
import { timed } from "./scenario.ts";

const times = 5;
const executable = join(checkout, "cli/main.js");
const execute = promisify(execFile);

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
await using folder = await makeTemporaryFolder();
// Takes the uplink's connection and says nothing, as an idle forwarder does.
const forwarder = createServer((socket) => socket.on("error", () => undefined).resume());
const port = await freePort();
forwarder.listen(port, "127.0.0.1");
const uplink = ["--name", "/idle", "--uplink", `tcp://127.0.0.1:${port}`];
const registry = "http://127.0.0.1:1"; // no one listens there

await print("client, idle", "MB resident", async () => {
  const args = ["client", ...uplink, "--upstream", registry, "--listen", `127.0.0.1:${await freePort()}`];
  return residentMegabytes(args, "endpoint is open");
});
await print("server, idle", "MB resident", () =>
  residentMegabytes(["server", ...uplink, "--registry", registry], "server is running"),
);
await print(
  "--help",
  "ms",
  async () => 1000 * (await timed(() => execute(process.execPath, [executable, "--help"], { env: testEnvironment() }))),
);
await print("start until it listens", "ms", async () => {
  const startedAtMs = performance.now();
  await using program = await run(["start", "--listen", `127.0.0.1:${await freePort()}`], "ndn-registry serves");
  return program.readyAtMs - startedAtMs;
});
forwarder.close();

async function print(what: string, unit: string, measure: () => Promise<number>): Promise<void> {
  await measure();
  const found: number[] = [];
  while (found.length < times) found.push(await measure());
  const load = loadavg()[0]!.toFixed(1);
  console.log(`${what}: ${rounded(median(found))} ${unit} (${found.map(rounded).join(", ")}; load ${load})`);
}

async function residentMegabytes(args: readonly string[], ready: string): Promise<number> {
  await using program = await run(args, ready);
  await delay(Number(values.seconds) * 1000);
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${program.pid}/status`, "utf8"))!;
  return (Number(kilobytes) * 1024) / 1e6;
}

/** Resolves when it says that it is ready. */
async function run(args: readonly string[], ready: string) {
  const program = await startProcess({
    command: process.execPath,
    args: [executable, ...args],
    cwd: folder.path,
    logFile: join(folder.path, `${performance.now()}.log`),
    ready: (running) => running.log().includes(ready),
  });
  return { pid: program.pid, readyAtMs: performance.now(), [Symbol.asyncDispose]: () => program.stop() };
}
