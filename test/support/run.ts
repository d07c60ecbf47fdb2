import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { testEnvironment, type Variables } from "./environment.ts";

const execute = promisify(execFile);

/** What a program wrote. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link run}. */
export interface RunOptions {
  /** Added to {@link testEnvironment}. */
  readonly env?: Variables;
  readonly cwd?: string;
  /** @defaultValue 120000 */
  readonly timeoutMs?: number;
}

/** Run a program to its end; throws with everything it wrote when it fails or takes too long. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  try {
    return await execute(command, args, {
      env: testEnvironment(options.env),
      timeout: options.timeoutMs ?? 120_000,
      maxBuffer: 64 * 1024 * 1024,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  } catch (err: unknown) {
    const { stdout = "", stderr = "" } = err as Partial<Output>;
    throw new Error(`${command} ${args.join(" ")} failed\n${stdout}${stderr}`, { cause: err });
  }
}
