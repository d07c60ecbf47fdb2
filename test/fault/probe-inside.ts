/**
 * Loaded into a program under test (`NODE_OPTIONS=--import=…`): answers on a Unix socket what the program holds, and
 * lets its clock jump. One line of JSON in, one line of JSON out.
 */
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a program holds at a moment, after a garbage collection. */
export interface Holdings {
  /** Active resources of the event loop by type: timers, sockets, requests (`process.getActiveResourcesInfo`). */
  readonly resources: Readonly<Record<string, number>>;
  readonly rssBytes: number;
  /** Heap and buffers in use. */
  readonly usedBytes: number;
}

/** What the probe is asked. */
export interface ProbeRequest {
  /** Move the program's clock by this much from the real one, before anything else. */
  readonly clockOffsetMs?: number;
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as (options: object) => void;
const RealDate = Date;
let clockOffsetMs = 0;

class JumpingDate extends RealDate {
  constructor(...args: []) {
    if (args.length === 0) super(RealDate.now() + clockOffsetMs);
    else super(...args);
  }

  static override now(): number {
    return RealDate.now() + clockOffsetMs;
  }
}

globalThis.Date = JumpingDate as DateConstructor;

function holdings(): Holdings {
  collectGarbage({ type: "major", execution: "sync", flavor: "last-resort" }); // also gives memory back to the system
  const resources: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) resources[type] = (resources[type] ?? 0) + 1;
  const { rss, heapUsed, external } = process.memoryUsage();
  return { resources, rssBytes: rss, usedBytes: heapUsed + external };
}

const path = process.env.NDN_REGISTRY_TEST_PROBE;
if (path !== undefined) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (line) => {
      ({ clockOffsetMs = clockOffsetMs } = JSON.parse(String(line)) as ProbeRequest);
      socket.end(`${JSON.stringify(holdings())}\n`);
    });
  });
  rmSync(path, { force: true }); // of one that was killed
  server.listen(path).unref();
}
