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

/** Start containerd without its Kubernetes side; everything that it writes is in `folder`. */
export async function startContainerd(folder: string): Promise<Containerd> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, "config.toml");
  const address = join(folder, "c.sock");
  await writeFile(config, configuration(folder, address));
  const ctr = async (...args: string[]) => (await run(programPath("ctr"), ["--address", address, ...args])).stdout;
  const daemon = await startProcess({
    command: programPath("containerd"),
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
