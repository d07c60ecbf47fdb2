import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { testEnvironment } from "#test/support/environment.ts";
import { checkout } from "#test/support/programs.ts";

/** What a run of the executable came to. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run the executable to its end in `cwd`, with no variables of ours but these. */
export async function runExecutable(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Outcome> {
  const child = spawn(process.execPath, [join(checkout, "cli/main.js"), ...args], {
    cwd,
    env: testEnvironment(env),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 15_000,
  });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { status: status as number | null, stdout, stderr };
}
