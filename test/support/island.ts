/**
 * A network namespace without any route: what runs in it reaches others only by sockets in the file system.
 */
import { chmod, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { parseMetrics, type Samples } from "./metrics.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import { checkout, programPath } from "./programs.ts";
import { type Output, run } from "./run.ts";

/** Programs that an {@link Island} needs. */
export const islandPrograms = ["root", "ip", "nsenter"] as const;

/** The namespace. */
export class Island implements AsyncDisposable {
  readonly #name: string;

  /** Make one; its loopback is up. */
  static async make(): Promise<Island> {
    const name = `ndnr-island-${process.pid}`;
    await run(programPath("ip"), ["netns", "add", name]);
    await run(programPath("ip"), ["-n", name, "link", "set", "lo", "up"]);
    return new Island(name);
  }

  private constructor(name: string) {
    this.#name = name;
  }

  /** Run a program in it to its end. */
  run(command: string, args: readonly string[], options?: Parameters<typeof run>[2]): Promise<Output> {
    return run(programPath("nsenter"), [...this.#enter, command, ...args], options);
  }

  /** A script that starts a program in it. */
  async wrapper(folder: string, program: string): Promise<string> {
    const file = join(folder, `${program}-inside`);
    await writeFile(
      file,
      `#!/bin/sh\nexec ${[programPath("nsenter"), ...this.#enter, programPath(program)].join(" ")} "$@"\n`,
    );
    await chmod(file, 0o755);
    return file;
  }

  /** Start a client in it, on port 5000 there; it is asked how it is by a socket. */
  async startClient(folder: string, args: readonly string[]): Promise<IslandClient> {
    const socketPath = join(folder, "client.sock");
    const listen = ["--listen", "127.0.0.1:5000", "--listen", `unix://${socketPath}`];
    const client = await startProcess({
      command: programPath("nsenter"),
      args: [...this.#enter, process.execPath, join(checkout, "cli/main.js"), "client", ...listen, ...args],
      cwd: folder,
      logFile: join(folder, "client.log"),
      ready: async () => (await askBy(socketPath, "/readyz")).status === 200,
    });
    return {
      process: client,
      ask: (path) => askBy(socketPath, path),
      metrics: async () => parseMetrics((await askBy(socketPath, "/metrics")).text),
      [Symbol.asyncDispose]: () => client.stop(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(programPath("ip"), ["netns", "delete", this.#name]);
  }

  get #enter(): string[] {
    return [`--net=/run/netns/${this.#name}`, "--"];
  }
}

/** A client that runs on an island. */
export interface IslandClient extends AsyncDisposable {
  readonly process: RunningProcess;
  ask(path: string): Promise<{ status: number; text: string }>;
  metrics(): Promise<Samples>;
}

async function askBy(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ socketPath, path, agent: false }, resolve).on("error", reject);
  });
  let text = "";
  for await (const piece of answer.setEncoding("utf8")) text += piece as string;
  return { status: answer.statusCode!, text };
}
