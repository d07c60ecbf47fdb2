/**
 * The whole path with a place for a faulty part everywhere: reader → client → relay → server (or ndnd, then server) →
 * registry, and an upstream of the client's own that holds the same blobs.
 */
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { type LinkRelay, startLinkRelay } from "#test/support/link/link-relay.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import type { RunningProcess } from "#test/support/process.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { type RunningProgram, startClient, startServer } from "#test/support/running-program.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { until } from "#test/support/until.ts";
import { askProbe, probeEnvironment } from "./probe.ts";
import { pull } from "./pull.ts";

/** Options of {@link startRig}. */
export interface RigOptions {
  /** An existing folder, with a short path. */
  readonly folder: string;
  /** ndnd between relay and server. @defaultValue false */
  readonly hasForwarder?: boolean;
  /** The client trusts the server's certificate, and nothing else. @defaultValue false */
  readonly isAnchored?: boolean;
  readonly seed?: number;
  readonly serverArgs?: readonly string[];
  readonly clientArgs?: readonly string[];
  readonly clientEnv?: Readonly<Record<string, string>>;
  /** The server's, instead of the in-process one. */
  readonly registryUrl?: string;
  /** The client's, instead of the in-process one. */
  readonly upstreamUrl?: string;
}

/** Where the blobs of all cases are. */
export const repository = "team/app/fault";
export const prefix = "/fault/images";

/** Start everything; the caller disposes of it. */
export async function startRig(options: RigOptions): Promise<Rig> {
  const rig = new Rig(options);
  try {
    await rig.start();
  } catch (err: unknown) {
    await rig[Symbol.asyncDispose]();
    throw err;
  }
  return rig;
}

/** All parts. Those that a case kills are started again by `restart…`. */
export class Rig implements AsyncDisposable {
  registry!: TestRegistry;
  upstream!: TestRegistry;
  relay!: LinkRelay;
  server!: RunningProgram;
  client!: RunningProgram;
  forwarder: RunningProcess | undefined;
  readonly folder: string;
  readonly #options: RigOptions;
  readonly #stack = new AsyncDisposableStack();

  constructor(options: RigOptions) {
    this.#options = options;
    this.folder = options.folder;
  }

  /** Called once, by `startRig`. */
  async start(): Promise<void> {
    const own = this.#stack;
    for (const name of ["server", "client", "nfd"]) await mkdir(join(this.folder, name), { recursive: true });
    this.registry = await startRegistry();
    own.defer(() => this.registry.close());
    this.upstream = await startRegistry();
    own.defer(() => this.upstream.close());
    this.upstream.repositories.set(repository, this.registry.open(repository));
    if (this.#options.hasForwarder) await this.restartForwarder();
    own.defer(() => this.forwarder?.stop());
    await this.restartServer();
    own.defer(() => this.server.process.stop());
    const { seed = 1 } = this.#options;
    const target = this.#options.hasForwarder ? this.path("nfd/nfd.sock") : this.path("s.sock");
    this.relay = own.use(await startLinkRelay({ listen: this.path("r.sock"), target, up: {}, down: {}, seed }));
    await this.restartClient();
    own.defer(() => this.client.process.stop());
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async restartForwarder(): Promise<void> {
    this.forwarder = await startNdnd({ socket: this.path("nfd/nfd.sock") });
  }

  async restartServer(): Promise<void> {
    const way = this.#options.hasForwarder ? ["--uplink", `unix://${this.path("nfd/nfd.sock")}`] : [];
    const face = this.#options.hasForwarder ? [] : ["--face", `unix://${this.path("s.sock")}`];
    const registry = this.#options.registryUrl ?? this.registry.url.href;
    const anchor = this.#options.isAnchored ? ["--export-anchor", this.path("anchor")] : [];
    const own = [...way, ...face, ...anchor, ...(this.#options.serverArgs ?? [])];
    this.server = await startServer({
      folder: this.path("server"),
      args: ["--name", prefix, "--registry", registry, ...own],
      env: probeEnvironment(this.path("server/probe.sock")),
    });
  }

  async restartClient(): Promise<void> {
    const upstream = this.#options.upstreamUrl ?? this.upstream.url.href;
    const uplink = `unix://${this.path("r.sock")}`;
    const anchor = this.#options.isAnchored ? ["--anchor", this.path("anchor")] : [];
    const own = [...anchor, ...(this.#options.clientArgs ?? [])];
    this.client = await startClient({
      folder: this.path("client"),
      args: ["--name", prefix, "--uplink", uplink, "--upstream", upstream, ...own],
      env: { ...probeEnvironment(this.path("client/probe.sock")), ...this.#options.clientEnv },
    });
  }

  /** Where a blob is pulled. */
  urlOf(digest: string): string {
    return blobUrl(this.client.url, repository, digest);
  }

  /** What the client and the server hold; only of those that run. */
  probe(which: "client" | "server", clockOffsetMs?: number) {
    return askProbe(this.path(`${which}/probe.sock`), clockOffsetMs === undefined ? {} : { clockOffsetMs });
  }

  /** Bytes that the client has handed out, by source. */
  async bytesBySource(): Promise<{ ndn: number; upstream: number }> {
    const samples = parseMetrics(await getText(`${this.client.url}/metrics`));
    const from = (source: string) => sumOf(samples, "ndn_registry_blob_bytes_total", { source });
    return { ndn: from("ndn"), upstream: from("upstream") };
  }

  /** Undo every fault that lies outside the programs. */
  calm(): void {
    this.relay.up = {};
    this.relay.down = {};
    this.relay.isReading = true;
    for (const registry of [this.registry, this.upstream]) {
      registry.fault = undefined;
      registry.faults.clear();
      registry.rateLimit = undefined;
    }
  }

  /** Wait until a blob comes over NDN again. */
  async untilNdnServes(freshBlob: () => string, timeoutMs = 20_000): Promise<void> {
    await until(
      "blobs over NDN",
      async () => {
        const before = await this.bytesBySource();
        const digest = freshBlob();
        const { outcome } = await pull(this.urlOf(digest), digest, { boundMs: 5_000 });
        return outcome === "right" && (await this.bytesBySource()).ndn > before.ndn;
      },
      timeoutMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** GET over a connection of its own, so that none stays open in the program that is looked at. */
export async function getText(url: string): Promise<string> {
  const [response] = (await once(get(url, { agent: false }), "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
  return Buffer.concat(pieces).toString();
}
