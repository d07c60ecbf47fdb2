import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunningProcess, startProcess } from "../process.ts";
import { programPath } from "../programs.ts";
import { run } from "../run.ts";

/** A Docker Engine of the test's own: nothing of it is outside its folder. */
export interface Dockerd extends AsyncDisposable {
  readonly process: RunningProcess;
  /** Run the docker command against this engine; resolves to its stdout without the last line break. */
  docker(...args: string[]): Promise<string>;
  /** With which `docker` commands this engine. */
  readonly env: Readonly<Record<string, string>>;
}

/** Options of {@link startDockerd}. */
export interface DockerdOptions {
  /** Folder for everything that the engine writes. */
  readonly folder: string;
  /** Its `daemon.json`. @defaultValue the machine's own */
  readonly configFile?: string;
  /** What starts the engine, in a network namespace for example. @defaultValue this machine's `dockerd` */
  readonly command?: string;
}

/**
 * Start a Docker Engine without network of its own; needs root. Containers run with `--network host`.
 *
 * Registries at 127.0.0.0/8 may be plain HTTP, which is Docker's default.
 */
export async function startDockerd({ folder, configFile, command: engineCommand }: DockerdOptions): Promise<Dockerd> {
  await mkdir(join(folder, "config"), { recursive: true });
  const host = `unix://${join(folder, "docker.sock")}`;
  // Without buildx and without looking at the developer's own logins.
  const env = { DOCKER_HOST: host, DOCKER_CONFIG: join(folder, "config"), DOCKER_BUILDKIT: "0" };
  const command = programPath("docker");
  const docker = async (...args: string[]) => (await run(command, args, { env })).stdout.trimEnd();
  const engine = await startProcess({
    command: engineCommand ?? programPath("dockerd"),
    args: [...engineArguments(folder), "--host", host, ...(configFile ? ["--config-file", configFile] : [])],
    logFile: join(folder, "dockerd.log"),
    ready: async () => (await docker("version", "--format", "{{.Server.Version}}")) !== "",
    readyTimeoutMs: 60_000,
    stopTimeoutMs: 20_000,
  });
  return { process: engine, docker, env, [Symbol.asyncDispose]: () => stopEngine(engine, folder) };
}

/** The engine finds the storage driver itself: overlay2 where the file system can, else vfs, which copies whole layers. */
function engineArguments(folder: string): string[] {
  return [
    ...["--data-root", join(folder, "root"), "--exec-root", join(folder, "exec"), "--pidfile", join(folder, "pid")],
    ...["--iptables=false", "--ip6tables=false", "--bridge=none"],
    ...["--containerd-namespace", `ndnr-${process.pid}`, "--log-level", "warn"],
    ...["--insecure-registry", "127.0.0.0/8"],
  ];
}

/** The engine leaves network namespaces and the like mounted, which would keep the folder from being removed. */
async function stopEngine(engine: RunningProcess, folder: string): Promise<void> {
  await engine.stop();
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((mount) => mount.startsWith(`${folder}/`)).reverse()) {
    await run("umount", ["--lazy", path]);
  }
}
