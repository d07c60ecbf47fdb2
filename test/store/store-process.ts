import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { testEnvironment } from "#test/support/environment.ts";

/** A process that writes blobs until it is killed. */
export interface StoreChild {
  /** Resolves when its store is open; rejects when it ends before. */
  readonly ready: Promise<void>;
  /** What it has said so far. */
  readonly lines: string[];
  /** Resolves when so many lines have begun so, by default one. */
  said(start: string, count?: number): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Compile it once for all: started 50 times it would else be the longer half of a test. */
export async function compileStoreChild(cache: string): Promise<NodeJS.ProcessEnv> {
  const env = testEnvironment({ NODE_COMPILE_CACHE: cache });
  await once(spawn(process.execPath, [script], { env, stdio: "inherit" }), "exit");
  return env;
}

const script = fileURLToPath(new URL("store-child.ts", import.meta.url));

/** Start `store-child.ts`, if wanted under another command such as `prlimit`. */
export function startStoreChild(
  { directory, seed, maxBytes }: { directory: string; seed: number; maxBytes: number },
  { under = [], env = testEnvironment() }: { under?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): StoreChild {
  const [command, ...args] = [...under, process.execPath, script, directory, String(seed), String(maxBytes)];
  const child = spawn(command!, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const output = createInterface(child.stdout);
  output.on("line", (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  const said = (start: string, count = 1) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (lines.filter((line) => line.startsWith(start)).length < count) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      output.once("close", () => reject(new Error(`the child ended without saying ${start}: ${lines.join(", ")}`)));
    });
  const ready = said("ready");
  ready.catch(() => {}); // killed before it was ready
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  return { ready, lines, said, kill };
}
