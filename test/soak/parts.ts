/** The programs of the soak, each in its namespace, and how they are started again. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { askProbe, descriptorsOf, probeEnvironment, residentBytes } from "#test/fault/probe.ts";
import { type ProcessOptions, type RunningProcess, startProcess } from "#test/support/process.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import { addresses, type Network } from "./network.ts";
import { TalkingProcess } from "./talking-process.ts";
import type { WorkDone } from "./worker.ts";

export const prefix = "/soak/images";
export const repository = "team/app/soak";
export const registryUrl = `http://${addresses.registryHost}:5000`;
const forwarderPort = 6363;
const linkPort = 7000;
const main = join(checkout, "cli/main.js");

/** What a program takes of the machine. */
export interface Size {
  /** Of ours after a garbage collection, as the three below. */
  readonly rssBytes: number;
  /** Most resident memory that the process has ever had. */
  readonly peakBytes: number;
  /** Heap and buffers in use; of our own programs only. */
  readonly usedBytes?: number | undefined;
  readonly descriptors: number;
}

/** One program that may be killed and started again. */
export class Part {
  readonly name: string;
  restarts = 0;
  process!: RunningProcess;
  /** Memory and descriptors when it had warmed up after its last start. */
  begin: Size | undefined;
  /** The processes that it was before. */
  readonly #earlier: RunningProcess[] = [];
  readonly #options: (restarts: number) => ProcessOptions;
  readonly #afterStart: () => Promise<void>;
  /** Socket of the probe inside our own programs. */
  readonly #probe: string | undefined;

  constructor(
    name: string,
    options: (restarts: number) => ProcessOptions,
    afterStart: () => Promise<void> = async () => {},
    probe?: string,
  ) {
    this.name = name;
    this.#probe = probe;
    this.#options = options;
    this.#afterStart = afterStart;
  }

  async start(): Promise<void> {
    this.process = await startProcess(this.#options(this.restarts));
    this.begin = undefined;
    await this.#afterStart();
  }

  async restart(): Promise<void> {
    this.#earlier.push(this.process);
    this.restarts += 1;
    await this.start();
  }

  /** Everything that all its processes have written. */
  log(): string {
    return [...this.#earlier, this.process].map((process) => process.log()).join("");
  }

  async size(): Promise<Size> {
    const { pid } = this.process;
    const peakBytes = await residentBytes(pid, "VmHWM");
    const probed = this.#probe === undefined ? undefined : await askProbe(this.#probe);
    const rssBytes = probed?.rssBytes ?? (await residentBytes(pid));
    return { rssBytes, peakBytes, usedBytes: probed?.usedBytes, descriptors: (await descriptorsOf(pid)).length };
  }
}

/** Everything that runs. */
export class Parts implements AsyncDisposable {
  readonly registry: Part;
  readonly server: Part;
  readonly routers: readonly [Part, Part];
  readonly clients: readonly Part[];
  /** Inside the pullers, and one on the registry's host. */
  readonly workers: TalkingProcess[] = [];
  pusher!: TalkingProcess;
  link!: TalkingProcess;
  readonly #network: Network;
  readonly #folder: string;
  readonly #seed: number;

  constructor(network: Network, folder: string, seed: number) {
    this.#network = network;
    this.#folder = folder;
    this.#seed = seed;
    this.registry = this.#part(
      "registry",
      network.registryHost,
      programPath("docker-registry"),
      [...["serve", join(folder, "registry/registry.yml")]],
      says(/listening on/),
    );
    this.server = this.#node("server", network.registryHost, [
      ...["--registry", registryUrl, "--uplink", `tcp://${addresses.router1.south}:${forwarderPort}`],
      ...["--export-anchor", join(folder, "anchor"), "--status", `${addresses.registryHost}:9000`],
    ]);
    this.routers = [
      this.#router("router1", network.router1, async () => {}),
      this.#router("router2", network.router2, () => this.routeNorth()),
    ];
    this.clients = network.pullers.map((namespace, i) =>
      this.#node(`client${i}`, namespace, [
        ...["--uplink", `tcp://${addresses.gatewayOf(i)}:${forwarderPort}`, "--upstream", registryUrl],
        ...["--anchor", join(folder, "anchor"), "--listen", "127.0.0.1:5000", "--cache-size", "64MiB"],
      ]),
    );
  }

  all(): readonly Part[] {
    return [this.registry, this.server, ...this.routers, ...this.clients];
  }

  async start(): Promise<void> {
    for (const { name } of this.all()) await mkdir(join(this.#folder, name), { recursive: true });
    await this.#configure();
    await Promise.all([this.registry.start(), this.routers[0].start()]);
    const { registryHost, pullers, router2 } = this.#network;
    this.link = this.#talk(router2, "link.ts", [
      JSON.stringify({
        listen: { host: addresses.router2, port: linkPort },
        target: { host: addresses.router1.north, port: forwarderPort },
        seed: this.#seed,
      }),
    ]);
    await this.routers[1].start();
    await this.server.start();
    for (const client of this.clients) await client.start();
    this.pusher = this.#talk(registryHost, "worker.ts", []);
    for (const puller of pullers) this.workers.push(this.#talk(puller, "worker.ts", []));
  }

  /** Tell the second router where the first one is: once after each start, and when the link has been cut. */
  async routeNorth(): Promise<void> {
    const face = `tcp4://${addresses.router2}:${linkPort}`;
    await this.#control("router2", ["route-add", `prefix=${prefix}`, "persistency=permanent", `face=${face}`]);
  }

  /** The page `path` of client `i`. */
  async page(i: number, path: string): Promise<string> {
    const { text } = await this.workers[i]!.ask<WorkDone>({ kind: "text", url: `http://127.0.0.1:5000${path}` });
    return text ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const helper of [...this.workers, this.pusher, this.link]) await helper?.[Symbol.asyncDispose]();
    for (const part of this.all().toReversed()) {
      part.process?.signal("SIGCONT");
      await part.process?.stop();
    }
  }

  async #configure(): Promise<void> {
    const registry = {
      version: "0.1",
      log: { level: "info", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(this.#folder, "registry/storage") } },
      http: { addr: `${addresses.registryHost}:5000` },
    };
    await writeFile(join(this.#folder, "registry/registry.yml"), JSON.stringify(registry));
    for (const { name } of this.routers) {
      await writeFile(join(this.#folder, name, "ndnd.yml"), forwarderConfiguration(this.#socketOf(name)));
    }
  }

  #router(name: string, namespace: string, afterStart: () => Promise<void>): Part {
    const args = ["fw", "run", join(this.#folder, name, "ndnd.yml")];
    const ready = async () => this.#control(name, ["status"]).then(() => true);
    return this.#part(name, namespace, programPath("ndnd"), args, ready, afterStart);
  }

  #node(name: string, namespace: string, args: readonly string[]): Part {
    const verb = name.startsWith("client") ? "client" : "server";
    const ready = says(/server is running|endpoint is open/);
    const command = [main, verb, "--name", prefix, ...args];
    return this.#part(name, namespace, process.execPath, command, ready, undefined, join(this.#folder, name, "probe"));
  }

  #part(
    name: string,
    namespace: string,
    command: string,
    args: readonly string[],
    ready: (program: RunningProcess) => Promise<boolean>,
    afterStart?: () => Promise<void>,
    probe?: string,
  ): Part {
    const cwd = join(this.#folder, name);
    const env = probe === undefined ? {} : probeEnvironment(probe);
    const options = { ...this.#network.inside(namespace, command, args), cwd, env, ready };
    return new Part(name, (restarts) => ({ ...options, logFile: join(cwd, `log-${restarts}`) }), afterStart, probe);
  }

  #talk(namespace: string, script: string, args: readonly string[]): TalkingProcess {
    const file = join(checkout, "test/soak", script);
    const inside = this.#network.inside(namespace, process.execPath, [file, ...args]);
    return new TalkingProcess(inside.command, inside.args);
  }

  #socketOf(router: string): string {
    return join(this.#folder, router, "nfd.sock");
  }

  /** `ndnd fw …`; a path in the file system is the same in every network namespace. */
  async #control(router: string, args: readonly string[]): Promise<void> {
    const env = { NDN_CLIENT_TRANSPORT: `unix://${this.#socketOf(router)}` };
    await run(programPath("ndnd"), ["fw", ...args], { env, timeoutMs: 5_000 });
  }
}

function says(pattern: RegExp): (program: RunningProcess) => Promise<boolean> {
  return async (program) => pattern.test(program.log());
}

function forwarderConfiguration(socket: string): string {
  return `core: {log_level: WARN}
faces:
  queue_size: 4096
  congestion_marking: true
  unix: {enabled: true, socket_path: ${JSON.stringify(socket)}}
  tcp: {enabled: true, port_unicast: ${forwarderPort}}
  udp: {enabled_unicast: false, enabled_multicast: false}
  websocket: {enabled: false}
fw: {threads: 2, queue_size: 4096}
mgmt: {allow_localhop: true}
tables: {content_store: {capacity: 4096, admit: true, serve: true}}
`;
}
