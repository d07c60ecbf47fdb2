/**
 * Real programs as test fixtures: started with their output in a file, awaited until ready, stopped by process id.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { testEnvironment, type Variables } from "./environment.ts";
import { GivenUp, until } from "./until.ts";

/** How to start a program. */
export interface ProcessOptions {
  /** Path of the executable. */
  readonly command: string;
  readonly args: readonly string[];
  /** File that receives stdout and stderr. */
  readonly logFile: string;
  /** Added to {@link testEnvironment}. */
  readonly env?: Variables;
  readonly cwd?: string;
  /** Asked again until true; a program that ends before that is an error. */
  readonly ready?: (program: RunningProcess) => Promise<boolean> | boolean;
  /** @defaultValue 20000 */
  readonly readyTimeoutMs?: number;
  /** How long a stop waits after SIGTERM before SIGKILL. @defaultValue 5000 */
  readonly stopTimeoutMs?: number;
}

/** A program that runs until it is stopped. */
export class RunningProcess implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;
  #ended: Promise<unknown>;

  constructor(child: ChildProcess, options: ProcessOptions) {
    this.#child = child;
    this.#options = options;
    this.name = [options.command, ...options.args].join(" ");
    this.#ended = once(child, "exit");
    this.#ended.catch(() => undefined); // a program that cannot be started is reported by startProcess
    child.once("spawn", () => running.add(this));
    child.once("exit", () => running.delete(this));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Exit status, or the signal's name; undefined while it runs. */
  get exit(): number | string | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  /** Everything it has written so far. */
  log(): string {
    return readFileSync(this.#options.logFile, "utf8");
  }

  /** The last lines of its output, headed by the command line. */
  logTail(lines = 25): string {
    return `--- ${this.name}\n${this.log().trimEnd().split("\n").slice(-lines).join("\n")}`;
  }

  /** Wait for a line of its output. */
  async waitForLog(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    return until(`${pattern} from ${this.name}`, () => pattern.exec(this.log()) ?? undefined, timeoutMs);
  }

  /** Send a signal without waiting for what comes of it. */
  signal(signal: NodeJS.Signals): void {
    if (this.exit === undefined) this.#child.kill(signal);
  }

  /** End it at once and without a chance to say goodbye, as a power cut does. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended();
  }

  /** Ask it to end; after the time limit make it. */
  async stop(): Promise<void> {
    this.signal("SIGTERM");
    const patience = new AbortController();
    const late = delay(this.#options.stopTimeoutMs ?? 5_000, "late", { signal: patience.signal }).catch(() => "");
    if ((await Promise.race([this.ended(), late])) === "late") await this.kill();
    patience.abort();
  }

  /** Resolves when it has ended, whichever way. */
  async ended(): Promise<void> {
    if (this.exit === undefined) await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Start a program and wait until it is ready; throws with the end of its output when it is not. */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const output = openSync(options.logFile, "a");
  const child = spawn(options.command, options.args, {
    stdio: ["ignore", output, output],
    env: testEnvironment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const program = new RunningProcess(child, options);
  try {
    await once(child, "spawn");
    await until(`${program.name} to be ready`, () => isReady(program, options), options.readyTimeoutMs ?? 20_000);
  } catch (err: unknown) {
    if (child.pid !== undefined) await program.stop();
    throw new Error(`${String(err)}\n${program.logTail()}`, { cause: err });
  } finally {
    closeSync(output);
  }
  return program;
}

/** The ends of the output of everything that runs now, for the report of a failed test. */
export function tailsOfRunning(): string {
  return [...running].map((program) => program.logTail()).join("\n");
}

async function isReady(program: RunningProcess, { ready }: ProcessOptions): Promise<boolean> {
  if (program.exit !== undefined) throw new GivenUp(`${program.name} ended with ${program.exit}`);
  return ready === undefined || (await ready(program));
}

const running = new Set<RunningProcess>();
process.once("exit", () => {
  for (const program of running) program.signal("SIGTERM"); // a test runner that is stopped half-way leaves nothing behind
});
