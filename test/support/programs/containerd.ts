import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startProcess } from "../process.ts";
import { programPath } from "../programs.ts";
import { run } from "../run.ts";

/** A containerd of the test's own. */
export interface Containerd extends AsyncDisposable {
  /** Run ctr against it; resolves to its stdout. */
  ctr(...args: string[]): Promise<string>;
}

/** Options of {@link startContainerd}. */
export interface ContainerdOptions {
  /** Executables of one version. @defaultValue those of this machine */
  readonly programs?: { readonly containerd: string; readonly ctr: string };
  /** TOML after the configuration that all tests have. @defaultValue none */
  readonly config?: string;
}

/** Start containerd without its Kubernetes side; everything that it writes is in `folder`. */
export async function startContainerd(
  folder: string,
  { programs, config: more = "" }: ContainerdOptions = {},
): Promise<Containerd> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, "config.toml");
  const address = join(folder, "c.sock");
  await writeFile(config, configuration(folder, address) + more);
  const client = programs?.ctr ?? programPath("ctr");
  const ctr = async (...args: string[]) => (await run(client, ["--address", address, ...args])).stdout;
  const daemon = await startProcess({
    command: programs?.containerd ?? programPath("containerd"),
    args: ["--config", config],
    logFile: join(folder, "containerd.log"),
    ready: async () => (await ctr("version")) !== "",
  });
  return { ctr, [Symbol.asyncDispose]: () => daemon.stop() };
}

function configuration(folder: string, address: string): string {
  return `version = 2
root = ${JSON.stringify(join(folder, "root"))}
state = ${JSON.stringify(join(folder, "state"))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = ${JSON.stringify(address)}
`;
}

/**
 * Write a `hosts.toml` that has containerd ask `endpoint` before the registry itself.
 *
 * @param folder - `certs.d`, the folder that `--hosts-dir` and `config_path` name.
 * @param registry - `HOST:PORT` of a registry without TLS.
 * @param endpoint - Base URL of its mirror; without one containerd learns only that the registry has no TLS.
 */
export async function writeHosts(folder: string, registry: string, endpoint?: string): Promise<void> {
  const mirror = endpoint === undefined ? "" : `[host."${endpoint}"]\n  capabilities = ["pull", "resolve"]\n`;
  await mkdir(join(folder, registry), { recursive: true });
  await writeFile(join(folder, registry, "hosts.toml"), `server = "http://${registry}"\n${mirror}`);
}
